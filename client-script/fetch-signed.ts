import { request } from 'node:http';
import type { Ipv4 } from '#contract/network.ts';
import { agentPort } from '#contract/probe.ts';

const limitMs = 5_000;
const maxBytes = 1024 * 1024;

/**
 * This device's bundle, or the list of keys, as a node has it, through the tunnel. It is worth nothing before its
 * signature is checked. `signal` gives it up.
 */
export function fetchSigned(
  what: 'bundle' | 'trust',
  { tunnelAddress, from }: { tunnelAddress: Ipv4; from: Ipv4 },
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: tunnelAddress,
      port: agentPort,
      localAddress: from,
      path: `/v1/${what}`,
      agent: false,
      headers: { accept: 'application/jose' },
    });
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    };
    const fail = (error: Error) => {
      settle();
      outgoing.destroy();
      reject(error);
    };
    const giveUp = () => fail(new Error('given up'));
    const timer = setTimeout(() => fail(new Error(`no answer within ${limitMs / 1000} s`)), limitMs);
    signal.addEventListener('abort', giveUp);
    outgoing.on('error', fail);
    outgoing.on('response', (response) => {
      if (response.statusCode !== 200) return fail(new Error(`it answered ${response.statusCode}`));
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.length > maxBytes) fail(new Error('its answer is too long'));
      });
      response.on('aborted', () => fail(new Error('its answer was cut off')));
      response.on('end', () => {
        settle();
        resolve(text.trim());
      });
    });
    outgoing.end();
  });
}
