import Table from 'cli-table3';

/** No lines but the head, so that columns can be read and cut. */
const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export type Row = Readonly<Record<string, unknown>>;

/** What a command has to say: tables and text for people on stdout, JSON for scripts; what is beside the point on stderr. */
export class Output {
  constructor(
    /** JSON is wanted. */
    readonly json: boolean,
  ) {}

  /** The same, for scripts and for people. */
  show(value: unknown, forPeople: () => string): void {
    this.write(this.json ? jsonText(value, 2) : forPeople());
  }

  /** One JSON value a line. */
  jsonLine(value: unknown): void {
    this.write(jsonText(value));
  }

  write(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** For the person at the terminal, not for what reads the output. */
  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }
}

/** Rows under the names of their columns; `none` where there are no rows. */
export function table(columns: readonly string[], rows: readonly Row[], none: string): string {
  if (rows.length === 0) return none;
  const head = columns.map((column) => column.toUpperCase());
  const style = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };
  const drawn = new Table({ head, style, chars: BARE });
  for (const row of rows) drawn.push(columns.map((column) => cell(row[column])));
  return withoutTrailingSpace(drawn.toString());
}

/** Names and values below each other. */
export function facts(row: Row): string {
  const given = Object.entries(row).filter(([, value]) => value !== undefined);
  const width = Math.max(...given.map(([name]) => name.length)) + 2;
  return given.map(([name, value]) => `${name.padEnd(width)}${indented(cell(value), width)}`).join('\n');
}

/** An instant as people and machines read it. */
export function instant(epochMs: number | undefined): string | undefined {
  return epochMs === undefined ? undefined : new Date(epochMs).toISOString();
}

/** `320 ms`, `4.2 s`, `3 min`, `2.5 h`, `3 d`. */
export function span(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const [amount, unit] =
    ms < 60_000
      ? [ms / 1_000, 's']
      : ms < 3_600_000
        ? [ms / 60_000, 'min']
        : ms < 86_400_000
          ? [ms / 3_600_000, 'h']
          : [ms / 86_400_000, 'd'];
  return `${Number(amount.toFixed(1))} ${unit}`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, portable, indent) ?? 'null';
}

/** A value in a table or behind the name of a fact. */
export function cell(value: unknown): string {
  if (value === undefined || value === null) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return printable(value);
  return typeof value === 'object' ? jsonText(value) : String(value as number);
}

/** What comes from messages must not steer the terminal. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, (one) =>
    one === '\t' ? '  ' : `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

function portable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>);
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

function indented(text: string, width: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(width)}`);
}

function withoutTrailingSpace(text: string): string {
  return text.replaceAll(/ +$/gm, '');
}
