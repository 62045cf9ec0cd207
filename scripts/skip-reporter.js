/** A node:test reporter that lists skipped tests with their reasons, and nothing else. */
export default async function* skipReporter(source) {
  for await (const event of source) {
    const skip = event.data?.skip;
    if (event.type === 'test:pass' && skip !== undefined && skip !== false) {
      yield `  ${event.data.name}: ${typeof skip === 'string' ? skip : 'no reason given'} (${event.data.file})\n`;
    }
  }
}
