import type { Preset } from '#contract/places.ts';

/** What nginx sets for a program behind a front, besides what it sets for all: on the server, and on the way back. */
export type FrontSettings = { server: readonly string[]; proxy: readonly string[] };

/** For a program that nobody named: what most expect. */
const plain: FrontSettings = { server: ['client_max_body_size 100m;'], proxy: [] };

const presets: Record<Preset, FrontSettings> = {
  /** Its tokens and redirects travel in headers of many kilobytes. */
  keycloak: {
    server: ['client_max_body_size 10m;', 'large_client_header_buffers 8 32k;'],
    proxy: ['proxy_buffer_size 64k;', 'proxy_buffers 8 64k;', 'proxy_busy_buffers_size 128k;'],
  },
  /** An attachment may have 500 MiB, and a little is around it; notices come over a WebSocket that is silent for long. */
  vaultwarden: { server: ['client_max_body_size 525m;'], proxy: ['proxy_read_timeout 1h;', 'proxy_send_timeout 1h;'] },
  /** Pushes, packages and artefacts are as large as they are, and take their time; logs of jobs come as they are written. */
  gitlab: {
    server: ['client_max_body_size 0;', 'client_body_timeout 10m;'],
    proxy: [
      'proxy_buffering off;',
      'proxy_read_timeout 1h;',
      'proxy_send_timeout 1h;',
      'proxy_set_header X-Forwarded-Ssl on;',
    ],
  },
};

export const settingsFor = (preset: Preset | undefined): FrontSettings =>
  preset === undefined ? plain : presets[preset];
