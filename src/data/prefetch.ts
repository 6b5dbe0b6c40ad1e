/**
 * Keeps a few pieces of asynchronous work ahead of the consumer, results in order.
 */

/**
 * Runs `work` on each item with at most `ahead` running or waiting to be taken. A failure is
 * thrown at its place in the order. Ending the loop early starts nothing more.
 *
 * @example
 * for await (const image of mapAhead(files, decode, 4)) use(image);
 */
export async function* mapAhead<Item, Result>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<Result>,
  ahead: number,
): AsyncGenerator<Result, void, undefined> {
  const pending: Promise<Result>[] = [];
  const start = (item: Item) => {
    const running = work(item);
    // It is awaited later; until then a failure must not count as unhandled.
    running.catch(() => {});
    pending.push(running);
  };
  try {
    for (const item of items) {
      start(item);
      if (pending.length >= Math.max(1, ahead)) yield await pending.shift()!;
    }
    while (pending.length > 0) yield await pending.shift()!;
  } finally {
    await Promise.allSettled(pending);
  }
}
