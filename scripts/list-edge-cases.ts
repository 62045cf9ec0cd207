/** Prints docs/reference/edge-cases.md: `node scripts/list-edge-cases.ts > docs/reference/edge-cases.md`. */
import { edgeCaseTables } from '../test/edge-cases/edge-cases.ts';

console.log(edgeCaseTables());
