import { createHash } from 'node:crypto';
import type { DnsName } from '#contract/network.ts';
import type { Site } from '#policies/desired/sites.ts';
import { type Daemon, serviceDirectory } from './daemon.ts';
import { settingsFor } from './presets.ts';

/** The certificate that fronts show, with its key (both PEM), and the names it is for. */
export type FrontCertificate = { certificate: string; key: string; names: readonly DnsName[] };

export type NginxPlace = {
  /** Where the files of all daemons are. */
  directory: string;
  /** Who its workers are: they speak to the world, and need no power over this machine. */
  user: string;
};

const program = '/usr/sbin/nginx';

/** nginx for these fronts, with files, number and log of its own: the machine's own web server is left alone. */
export function nginxDaemon(
  sites: readonly Site[],
  certificate: FrontCertificate | undefined,
  place: NginxPlace,
): Daemon {
  const own = serviceDirectory(place.directory, 'nginx');
  const path = `${own}/nginx.conf`;
  const pidFile = `${own}/nginx.pid`;
  const pair = certificate && `${certificate.certificate.trimEnd()}\n${certificate.key.trimEnd()}\n`;
  const pairPath = pair && `${own}/${pairPrefix}${createHash('sha256').update(pair).digest('hex').slice(0, 16)}.pem`;
  const served = new Set(certificate?.names);
  const beginning = [program, '-e', 'stderr', '-p', `${own}/`] as const;
  return {
    argv: [...beginning, '-c', path],
    config: {
      path,
      content: renderNginx(
        sites.map((site) => ({ ...site, certificate: served.has(site.dnsName) ? pairPath : undefined })),
        { user: place.user, pidFile },
      ),
    },
    beside: pair === undefined || pairPath === undefined ? [] : [{ path: pairPath, content: pair }],
    check: (candidate) => [...beginning, '-t', '-q', '-c', candidate],
    reload: 'SIGHUP',
    pidFiles: [pidFile],
  };
}

/** How files with a certificate and its key are called, each by what is in it. */
export const pairPrefix = 'front-';

type RenderedSite = Site & {
  /** The file with certificate and key; without one the front answers nobody. */
  certificate: string | undefined;
};

/**
 * nginx's configuration. Each front listens at its own address and answers by its own name alone, so that who may reach
 * one service reaches no other by asking for its name. Nothing listens anywhere else.
 */
export function renderNginx(
  sites: readonly RenderedSite[],
  { user, pidFile }: { user: string; pidFile: string },
): string {
  return `daemon off;
user ${user};
worker_processes 2;
worker_rlimit_nofile 16384;
worker_shutdown_timeout 12h;
pid ${pidFile};
error_log stderr warn;

events {
  worker_connections 4096;
}

http {
  access_log off;
  server_tokens off;
  default_type application/octet-stream;
  server_names_hash_max_size 4096;
  server_names_hash_bucket_size 512;

  client_body_temp_path temporary-body;
  proxy_temp_path temporary-proxy;
  fastcgi_temp_path temporary-fastcgi;
  uwsgi_temp_path temporary-uwsgi;
  scgi_temp_path temporary-scgi;

  keepalive_timeout 75s;
  client_header_timeout 30s;
  client_body_timeout 2m;
  send_timeout 2m;
  reset_timedout_connection on;
  client_body_buffer_size 512k;
  http2_body_preread_size 512k;
  large_client_header_buffers 4 16k;

  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_prefer_server_ciphers off;
  ssl_session_cache shared:fronts:10m;
  ssl_session_timeout 1d;
  ssl_session_tickets off;

  # Bodies pass as they come, both ways: nothing is kept on the disk.
  proxy_http_version 1.1;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_connect_timeout 5s;
  proxy_read_timeout 5m;
  proxy_send_timeout 5m;
  proxy_socket_keepalive on;
  proxy_redirect off;

  map $http_upgrade $connection_to_backend {
    default upgrade;
    '' '';
  }
${sites.map(renderSite).join('')}}
`;
}

function renderSite({ service, dnsName, frontAddress, backend, preset, certificate }: RenderedSite): string {
  const { server, proxy } = settingsFor(preset);
  const upstream = `backend-${service}`;
  return `
  # ${service}
  server {
    listen ${frontAddress}:443 ssl http2 default_server so_keepalive=60s:15s:4;
    ssl_reject_handshake on;
${indented(4, server)}
    return 421;
  }
  server {
    listen ${frontAddress}:80 default_server so_keepalive=60s:15s:4;
    return 421;
  }
${certificate === undefined ? '' : answeringServers()}`;

  function answeringServers(): string {
    return `  upstream ${upstream} {
    server ${backend.address}:${backend.port} max_fails=0;
    keepalive 32;
    keepalive_timeout 4s;
  }
  server {
    listen ${frontAddress}:80;
    server_name ${dnsName};
    return 308 https://${dnsName}$request_uri;
  }
  server {
    listen ${frontAddress}:443 ssl http2;
    server_name ${dnsName};
    ssl_certificate ${certificate};
    ssl_certificate_key ${certificate};
${indented(4, server)}
    location / {
      proxy_pass ${backend.scheme}://${upstream};
      proxy_set_header Host ${dnsName};
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Host ${dnsName};
      proxy_set_header X-Forwarded-Port 443;
      proxy_set_header X-Forwarded-Server '';
      proxy_set_header X-Forwarded-Prefix '';
      proxy_set_header Forwarded '';
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_to_backend;
${indented(6, [...(backend.scheme === 'https' ? [...tlsToBackend, `proxy_ssl_name ${dnsName};`] : []), ...proxy])}    }
  }
`;
  }
}

/** What a backend shows is not looked at: it has a certificate of its own making, and no name inside. */
const tlsToBackend = ['proxy_ssl_server_name on;', 'proxy_ssl_verify off;', 'proxy_ssl_protocols TLSv1.2 TLSv1.3;'];

const indented = (by: number, lines: readonly string[]) => lines.map((line) => `${' '.repeat(by)}${line}\n`).join('');
