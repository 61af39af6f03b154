/** Locks between the tabs of a device. They save work; what must not happen twice is decided in the database. */

/**
 * Run work while holding a lock of this name; go on without it after `patience` milliseconds, and where the browser
 * has no locks: a tab that the system has frozen keeps its locks for as long as it is frozen.
 */
export async function withLock<T>(name: string, patience: number, work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return work();
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), patience);
  let begun = false;
  try {
    return await locks.request(name, { signal: waiting.signal }, () => {
      begun = true;
      clearTimeout(timer);
      return work();
    });
  } catch (error) {
    if (begun || !waiting.signal.aborted) throw error;
    return work();
  } finally {
    clearTimeout(timer);
  }
}
