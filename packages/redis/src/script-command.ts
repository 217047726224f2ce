import { Command } from 'ioredis';

/** Texts from this length on are written by themselves; shorter ones are gathered first. */
const LONG = 256;

/**
 * A call of a script as the client's own command, which writes its arguments in one buffer. The client joins them to
 * one string, and to encode that takes longer than all the rest of a publication.
 */
export class ScriptCommand extends Command {
  override toWritable(): Buffer {
    const args = this.args as readonly string[];
    const lengths = args.map((arg) => Buffer.byteLength(arg));
    const head = `*${args.length + 1}\r\n$${this.name.length}\r\n${this.name}\r\n`;
    const writer = new TextWriter(Buffer.allocUnsafe(writtenSize(head, lengths)));
    writer.write(head, head.length);
    args.forEach((arg, index) => {
      const length = lengths[index] as number;
      const prefix = `$${length}\r\n`;
      writer.write(prefix, prefix.length);
      writer.write(arg, length);
      writer.write('\r\n', 2);
    });
    return writer.finish();
  }
}

function writtenSize(head: string, lengths: readonly number[]): number {
  let size = head.length;
  for (const length of lengths) size += length + String(length).length + 5;
  return size;
}

class TextWriter {
  private at = 0;
  private pending = '';
  private pendingBytes = 0;

  constructor(private readonly buffer: Buffer) {}

  write(text: string, bytes: number): void {
    if (text.length < LONG) {
      this.pending += text;
      this.pendingBytes += bytes;
      return;
    }
    this.flush();
    this.put(text, bytes);
  }

  finish(): Buffer {
    this.flush();
    return this.buffer;
  }

  private flush(): void {
    if (this.pending === '') return;
    this.put(this.pending, this.pendingBytes);
    this.pending = '';
    this.pendingBytes = 0;
  }

  /** As many bytes as characters: ASCII, which is copied as it is. */
  private put(text: string, bytes: number): void {
    this.at += this.buffer.write(text, this.at, bytes, bytes === text.length ? 'latin1' : 'utf8');
  }
}
