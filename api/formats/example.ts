/** The parts of JSON Schema that our schemas turn into. */
export type JsonSchema = {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
  readonly format?: string;
  readonly description?: string;
};

const signed = 'eyJhbGciOiJFZERTQSJ9.eyJ9.c2lnbmF0dXJl';

/** Text whose schema cannot say what it looks like, by the name of its field. */
const textByName: Readonly<Record<string, string>> = {
  code: '64S42-TKJ5N-JQGRB-DE1P6-AP2SD',
  sh: 'f=$(mktemp) && curl -fsSk https://vpn.example.com:8443/join.sh -o "$f" && …',
  token: signed,
  bundle: signed,
  assertion: signed,
  problem: 'the snapshot overlaps the pool',
  name: 'internal',
};

/** What a first request should say, whatever else its schema allows: people send examples as they are. */
const firstByName: Readonly<Record<string, unknown>> = { role: 'developer', permission: 'none' };

/** A value that fits the schema, made of the examples that its parts carry. */
export function exampleOf(schema: JsonSchema, name = ''): unknown {
  // The narrower type adds its own to those of the type it narrows.
  const example = schema.examples?.at(-1);
  if (example !== undefined) return example;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum?.[0] !== undefined) return schema.enum[0];
  const [choice] = schema.anyOf ?? schema.oneOf ?? [];
  if (choice !== undefined) return exampleOf(choice, name);
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.[0];
  switch (type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          // Half of a form that may be left out asks for something special.
          .filter(([field, part]) => part.type !== 'object' || schema.required?.includes(field) !== false)
          .map(([field, part]) => [field, firstOf(field, part) ?? exampleOf(part, field)]),
      );
    case 'array':
      return schema.items === undefined ? [] : [exampleOf(schema.items, name)];
    case 'number':
    case 'integer':
      return Math.max(schema.minimum ?? 1, 1);
    case 'boolean':
      return false;
    case 'null':
      return null;
    default:
      return textByName[name] ?? 'text';
  }
}

function firstOf(name: string, { enum: allowed }: JsonSchema): unknown {
  const first = firstByName[name];
  return allowed === undefined || allowed.includes(first) ? first : undefined;
}
