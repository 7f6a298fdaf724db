import type { CommandName } from './command-line.ts';

const exits = `Exit codes:
  0 done   1 failed   2 wrong use   3 refused by the master   4 unreachable
  5 trust failed, nothing was installed   6 this machine lacks a program or a permission`;

const general = `postern-client: the device's side of a Postern VPN

Usage: postern-client COMMAND [options]

  join      redeem a code and bring this machine inside
  up        bring the tunnel up again
  down      take the tunnel down; the keys stay
  status    how this device stands; exits with 0 when connected, else with 1
  leave     tell the master that this device is gone, and remove everything here

Options of every command:
  --json            one JSON object on standard output
  --state-dir DIR   where keys and state are kept (/var/lib/postern-client)
  --help            this, or the help of one command

Examples:
  postern-client status
  sudo postern-client down && sudo postern-client up

${exits}
`;

const texts: Record<CommandName, string> = {
  join: `postern-client join: redeem a code and bring this machine inside

Usage: postern-client join --master URL --root THUMBPRINT [--name NAME] [--code-file FILE]

  --master URL       the master's address, from the join line
  --root THUMBPRINT  the thumbprint of the master's root key, from the join line
  --name NAME        what to call this device (this machine's name)
  --code-file FILE   read the code from a file, or with - from standard input

The code is asked for on the terminal, also when standard input is a pipe. For automation it can come from
--code-file or from the environment variable POSTERN_CODE. It is never an argument, since others see those.
A run that was cut off is resumed by running it again with the same code.

Examples:
  sudo postern-client join --master https://vpn.example.com:8443 --root 3f1c…
  sudo postern-client join --master https://vpn.example.com:8443 --root 3f1c… --name "Ana's laptop"
  sudo postern-client join --master https://vpn.example.com:8443 --root 3f1c… --code-file - < code.txt

${exits}
`,
  up: `postern-client up: bring the tunnel up again after \`down\` or a reboot

Usage: postern-client up [--json]

Examples:
  sudo postern-client up

${exits}
`,
  down: `postern-client down: take the tunnel down; the keys stay

Usage: postern-client down [--json]

Examples:
  sudo postern-client down

${exits}
`,
  status: `postern-client status: how this device stands

Usage: postern-client status [--json]

Says which node has this device's packets, since when and why, how each node is, and what the last changes from one
node to another were like. Exits with 0 when connected, with 1 when not.

Examples:
  sudo postern-client status
  sudo postern-client status --json

${exits}
`,
  leave: `postern-client leave: tell the master that this device is gone, and remove everything here

Usage: postern-client leave [--force] [--json]

  --force   remove everything here even if the master cannot be told

Examples:
  sudo postern-client leave

${exits}
`,
  watch: `postern-client watch: keep the tunnel as the newest bundle says

Changes to another node when the one it is on falls silent, is not well, is drained or is no longer the active one.
Started by \`join\` and \`up\`; there is no need to run it by hand.

Usage: postern-client watch [--state-dir DIR]
`,
};

export function helpText(about: CommandName | undefined): string {
  return about === undefined ? general : texts[about];
}
