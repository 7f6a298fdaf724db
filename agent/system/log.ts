import pino from 'pino';

export type Log = (line: string) => void;

/** What the agent says: a line for people on a terminal, otherwise JSON with the fields that the master's lines have. */
export function openLog(file: { fd: number; isTTY: boolean; write(text: string): unknown }): Log {
  if (file.isTTY) return (line) => void file.write(`${new Date().toISOString()} ${line}\n`);
  const log = pino({ base: { program: 'agent' } }, pino.destination({ dest: file.fd, sync: true }));
  return (line) => log.info(line);
}
