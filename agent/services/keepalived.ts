import type { InterfaceName } from '#contract/network.ts';
import { healthPort } from '#contract/probe.ts';
import { isolationWeight, type Vrrp } from '#policies/desired/vrrp.ts';
import { type Daemon, serviceDirectory } from './daemon.ts';

export type KeepalivedPlace = {
  /** Where the files of all daemons are. */
  directory: string;
  tunnel: InterfaceName;
  mesh: InterfaceName;
};

/**
 * Read by keepalived the moment they change, so that nothing has to be started for it: `health` holds 1 when this node
 * must not hold the address, `isolation` 1 when it hears no other node.
 */
export function trackFiles(directory: string) {
  const own = serviceDirectory(directory, 'keepalived');
  return { health: `${own}/health`, isolation: `${own}/isolation` };
}

/** keepalived holds no address in this time after it began; one that is there was left behind by another. */
export const startupDelayMs = 1_000;

const program = '/usr/sbin/keepalived';

export function keepalivedDaemon(vrrp: Vrrp, place: KeepalivedPlace): Daemon {
  const own = serviceDirectory(place.directory, 'keepalived');
  const path = `${own}/keepalived.conf`;
  const pidFiles = [`${own}/keepalived.pid`, vrrpPidFile(place.directory)];
  return {
    // VRRP alone, in the foreground, saying in detail what happens.
    argv: [program, '-P', '-n', '-l', '-D', '-f', path, '-p', pidFiles[0] ?? '', '-r', pidFiles[1] ?? ''],
    config: { path, content: renderKeepalived(vrrp, place) },
    check: (candidate) => [program, '-t', '-f', candidate],
    reload: 'SIGHUP',
    pidFiles,
  };
}

/** Of the process that speaks VRRP; the other one only watches it. */
export const vrrpPidFile = (directory: string) => `${serviceDirectory(directory, 'keepalived')}/vrrp.pid`;

/**
 * keepalived's configuration. Files of an agent that has died are not believed: the script asks the agent itself. Each
 * peer has a line of its own, since keepalived reads no second one on a line.
 */
export function renderKeepalived(vrrp: Vrrp, { directory, tunnel, mesh }: KeepalivedPlace): string {
  const { health, isolation } = trackFiles(directory);
  return `global_defs {
  router_id ${vrrp.node}
  script_user root
  enable_script_security
  dynamic_interfaces
  max_auto_priority 20
  vrrp_version 3
  vrrp_check_unicast_src
  vrrp_startup_delay ${seconds(startupDelayMs)}
  vrrp_garp_master_delay 0
  vrrp_garp_master_repeat 1
}

vrrp_script agent {
  script "/usr/bin/curl -fsS -m 0.5 -o /dev/null http://127.0.0.1:${healthPort}/"
  interval 1
  timeout 1
  fall 2
  rise 2
}

track_file health {
  file "${health}"
  weight 0
}

track_file isolation {
  file "${isolation}"
  weight ${isolationWeight}
}

vrrp_instance POSTERN {
  state BACKUP
  nopreempt
  interface ${mesh}
  virtual_router_id 51
  priority ${vrrp.priority}
  advert_int ${seconds(vrrp.advertMilliseconds)}
  unicast_src_ip ${vrrp.address}
  unicast_peer {
${vrrp.others.map((address) => `    ${address}`).join('\n')}
  }
  virtual_ipaddress {
    ${vrrp.vip}/32 dev ${tunnel}
  }
  track_script {
    agent
  }
  track_file {
    health
    isolation
  }
}
`;
}

/** In hundredths, which is as fine as VRRP counts. */
function seconds(milliseconds: number): string {
  return (Math.max(1, Math.round(milliseconds / 10)) / 100).toString();
}
