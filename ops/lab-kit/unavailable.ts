import { NotPermitted, obtainPermission } from './permission.ts';

/** Why hosts cannot be made by this process, for tests to say when they skip; undefined when they can. */
export async function whyUnavailable(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return `${process.platform}: making hosts in this process needs root`;
  try {
    await obtainPermission([]);
    return undefined;
  } catch (error) {
    if (error instanceof NotPermitted) return `${process.platform}: ${error.message}`;
    throw error;
  }
}
