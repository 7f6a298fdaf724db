import { type Command, InvalidArgumentError } from 'commander';
import { Settings, type SettingsChange } from '#contract/settings.ts';
import { type Column, showDetails } from './screen.ts';
import type { Session } from './session.ts';

const columns: Column<Settings>[] = [
  { title: 'domain', of: ({ domain }) => domain },
  { title: 'upstreams', of: ({ upstreams }) => upstreams.join(', ') || 'none: names outside the domain stay unknown' },
  { title: 'advert', of: ({ advertMilliseconds }) => `${advertMilliseconds} ms` },
  { title: 'mesh', of: ({ mesh }) => mesh ?? 'not yet' },
  { title: 'vip', of: ({ vip }) => vip },
  { title: 'pool', of: ({ pool }) => pool },
  { title: 'master', of: ({ publicUrl }) => publicUrl },
];

/** How each setting that can be changed is written on the command line. */
const readers: Record<string, (text: string) => SettingsChange> = {
  domain: (text) => ({ domain: text }),
  upstreams: (text) => ({ upstreams: text === 'none' || text === '' ? [] : text.split(',') }),
  advert: (text) => ({ advertMilliseconds: Number(text.replace(/ ?ms$/, '')) }),
  mesh: (text) => ({ mesh: text }),
};

export function addSettingsCommands(program: Command, session: Session): void {
  const settings = program
    .command('settings')
    .description('what holds for the whole installation')
    .addHelpText('after', '\nExamples:\n  postern settings\n  postern settings set domain=corp.internal');

  settings
    .command('show', { isDefault: true })
    .description('show them')
    .action(() =>
      session(async (master, screen) =>
        showDetails(screen, await master.call(Settings, 'GET', '/v1/settings'), columns),
      ),
    );

  settings
    .command('set')
    .description('change them: domain, upstreams, advert (in milliseconds), mesh')
    .argument('<name=value...>', 'what is to be another', readWord)
    .addHelpText(
      'after',
      `
domain     the internal domain, whose names the nodes answer for
upstreams  the resolvers for all other names, with commas between them, or none
advert     how often the active node is heard by the others, in milliseconds
mesh       the /24 that joins the nodes

Examples:
  postern settings set domain=corp.example upstreams=9.9.9.9,149.112.112.112
  postern settings set upstreams=none`,
    )
    .action((change: SettingsChange) =>
      session(async (master, screen) =>
        showDetails(screen, await master.call(Settings, 'PATCH', '/v1/settings', change), columns),
      ),
    );
}

function readWord(word: string, earlier: SettingsChange = {}): SettingsChange {
  const [name = '', value] = word.split(/=(.*)/s);
  const read = readers[name];
  if (read === undefined || value === undefined)
    throw new InvalidArgumentError(`${word} is not NAME=VALUE with a name of ${Object.keys(readers).join(', ')}.`);
  return { ...earlier, ...read(value) };
}
