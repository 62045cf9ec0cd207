/** What was asked of an object store, in words. */
import { formatBytes } from '../base/index.ts';
import type { StoreRequests } from './engine.ts';
import { count } from './numbers.ts';

/** `12 puts, 3 gets, 1 head, 9 lists, 4 deletes, 1 MiB received: about $0.0001 …` */
export function requestsText(requests: StoreRequests): string {
  const { put, get, head, list, receivedBytes, costDollars } = requests;
  const counts = [
    count(put, 'put'),
    count(get, 'get'),
    count(head, 'head'),
    count(list, 'list'),
    count(requests.delete, 'delete'),
  ];
  return `${counts.join(', ')}, ${formatBytes(receivedBytes)} received: about $${costDollars.toFixed(4)} by the list prices of AWS`;
}
