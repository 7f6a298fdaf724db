/**
 * Puts packets on the wire and tells which it has seen come in, as often as it is asked: `bun witness.ts`.
 *
 * Asked for {send: [{probe, device, mac?}]} or {seen: true}; answers how many were sent, or all sightings since the last
 * time. It sees packets before any rule of the host's own does.
 */
import { bytesOf, type Probe, type Sighting, sightingOf } from '../wire/packet.ts';
import { answerAll } from './answering.ts';
import { PacketSocket } from './packet-socket.ts';

type Ask = { send: { probe: Probe; device: string; mac?: string }[] } | { seen: true };

const socket = new PacketSocket();
let sightings: Sighting[] = [];

function look(): void {
  for (let packet = socket.receive(); packet !== undefined; packet = socket.receive()) {
    const sighting = sightingOf(packet);
    if (sighting !== undefined) sightings.push(sighting);
  }
}

setInterval(look, 5);
await answerAll((ask: Ask) => {
  if ('send' in ask) {
    for (const { probe, device, mac } of ask.send) socket.send(bytesOf(probe), device, mac);
    return ask.send.length;
  }
  look();
  const told = sightings;
  sightings = [];
  return told;
});
