/** Calls `work` for every item, at most `width` at once; the first failure ends it, after the running ones. */
export async function eachOf<T>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  let failed = false
  const lane = async () => {
    while (!failed && next < items.length) {
      const index = next++
      try {
        await work(items[index]!, index)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const results = await Promise.allSettled(Array.from({ length: width }, lane))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** Side by side; fails only when none goes on any more, so that nothing works behind the back of whoever hears of it. */
export async function together<T extends readonly unknown[]>(
  ...working: { readonly [index in keyof T]: Promise<T[index]> }
): Promise<T> {
  await Promise.allSettled(working)
  return (await Promise.all(working)) as unknown as T
}
