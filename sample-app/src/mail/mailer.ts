import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import Handlebars from 'handlebars';
import type { Transporter } from 'nodemailer';
import { createTransport } from 'nodemailer';
import { settings } from '../settings.js';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  /** Name of a file in `templates/`, without its ending. */
  readonly template: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Renders templates and sends mails; without an SMTP server they become .eml files. */
@Injectable()
export class Mailer implements OnModuleDestroy {
  private readonly transport: Transporter =
    settings.smtpUrl === undefined
      ? (createTransport({ streamTransport: true, buffer: true }) as Transporter)
      : createTransport(settings.smtpUrl);
  private readonly templates = new Map<string, Promise<Handlebars.TemplateDelegate>>();

  async send(mail: Mail, key: string): Promise<{ messageId: string }> {
    const html = (await this.template(mail.template))(mail.values);
    const sent = (await this.transport.sendMail({
      from: settings.mailFrom,
      to: mail.to,
      subject: mail.subject,
      html,
      // The same for every attempt of a task, so that a mail server can recognise a repetition.
      messageId: `<${key}@storefront.example>`,
    })) as { messageId: string; message?: Buffer };
    if (sent.message !== undefined) await this.keep(key, sent.message);
    return { messageId: sent.messageId };
  }

  onModuleDestroy(): void {
    this.transport.close();
  }

  private async keep(key: string, message: Buffer): Promise<void> {
    const folder = join(settings.dataDir, 'mails');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${key}.eml`), message);
  }

  private template(name: string): Promise<Handlebars.TemplateDelegate> {
    let compiled = this.templates.get(name);
    if (compiled === undefined) {
      compiled = readFile(join(settings.templatesDir, `${name}.html`), 'utf8').then((source) =>
        Handlebars.compile(source),
      );
      this.templates.set(name, compiled);
    }
    return compiled;
  }
}
