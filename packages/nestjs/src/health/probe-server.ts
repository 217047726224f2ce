import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProbeAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Path → what answers it. */
export type ProbeRoutes = Readonly<Record<string, () => Promise<ProbeAnswer>>>;

/** A probe and a scrape are one short request each; whoever is slower is not one. */
const REQUEST_TIMEOUT_MS = 5_000;

/**
 * A small HTTP server for whoever supervises this process, beside no application's own: GET and HEAD of a few paths. It is
 * answered on the thread that works, so a loop that is blocked answers nothing, which is the point.
 */
export class ProbeServer {
  private readonly server: Server;

  constructor(private readonly routes: ProbeRoutes) {
    this.server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void this.respond(request, response);
    });
    this.server.maxHeadersCount = 100;
  }

  /** Resolves with the port it listens on. Rejects with the error of the system. */
  async listen(port: number, host: string): Promise<number> {
    this.server.listen({ port, host, exclusive: true });
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  /** Requests that are under way are cut off. */
  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, contentType, body } = await this.answer(request);
    response.writeHead(status, {
      'content-type': contentType,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  private async answer({ method, url = '/' }: IncomingMessage): Promise<ProbeAnswer> {
    if (method !== 'GET' && method !== 'HEAD') return json(405, { status: 'error', reason: 'Only GET and HEAD.' });
    const path = url.split('?', 1)[0] as string;
    const route = Object.hasOwn(this.routes, path) ? this.routes[path] : undefined;
    if (route === undefined) {
      return json(404, { status: 'error', reason: `One of ${Object.keys(this.routes).join(', ')}.` });
    }
    try {
      return await route();
    } catch (error) {
      return json(500, { status: 'error', reason: String(error) });
    }
  }
}

export function json(status: number, body: unknown): ProbeAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
}
