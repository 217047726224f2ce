import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export type Direction = 'to-server' | 'to-client';

/**
 * Stands between clients and a server on TCP, and breaks on command. What it is not told to break goes through.
 *
 * ```text
 *   client ══► lane to-server ══► server        a lane: arrived ─► delay ─► held while silent ─► trips ─► forwarded
 *   client ◄══ lane to-client ◄══ server        trips: cutAfter (so many bytes, then reset), loseReply (see there)
 * ```
 *
 * Bytes keep their order. An end of one side is an item of the lane like bytes: it is delayed and held like them, so that
 * the other side of a silent connection does not notice that the first one has gone.
 */
export class FaultProxy {
  private readonly links = new Set<Link>();
  private readonly silent = new Set<Direction>();
  private readonly waitingForConnection: ((link: ProxiedConnection) => void)[] = [];
  private readonly watchers = new Set<Watcher>();
  private readonly trips = new Set<Trip>();
  private delayMs = 0;
  private server: Server | undefined;

  private constructor(
    private readonly target: Endpoint,
    /** Where clients connect to, on 127.0.0.1; stays the same while connections are refused. */
    readonly port: number,
  ) {}

  static async open(target: Endpoint): Promise<FaultProxy> {
    const probe = await listen(0, () => undefined);
    const { port } = probe.address() as AddressInfo;
    await stopListening(probe);
    const proxy = new FaultProxy(target, port);
    await proxy.accept();
    return proxy;
  }

  /** Connections that are open on the client's side. */
  get connections(): readonly ProxiedConnection[] {
    return [...this.links].filter((link) => link.clientIsOpen);
  }

  /** New connections are refused; those that are open stay. */
  async refuse(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server !== undefined) await stopListening(server);
  }

  /** New connections are accepted again. */
  async accept(): Promise<void> {
    this.server ??= await listen(this.port, (client) => this.join(client));
  }

  /** Resets every connection, on both sides. */
  cut(): void {
    for (const link of this.links) link.cut();
  }

  /**
   * Swallows what is sent, in one direction or both, on open connections and new ones, and tells neither side: a host
   * that vanished, a firewall that forgot. `resume` hands on what was swallowed; `cut` forgets it.
   */
  silence(direction: Direction | 'both' = 'both'): void {
    for (const one of directions(direction)) this.silent.add(one);
  }

  /** Ends silence and delay; what was held goes on. */
  resume(): void {
    this.silent.clear();
    this.delayMs = 0;
    for (const link of this.links) link.resume();
  }

  /** Everything takes this many milliseconds longer, in each direction. */
  delay(ms: number): void {
    this.delayMs = ms;
  }

  /**
   * Resets the first connection that has carried `bytes` more bytes in this direction, with exactly so many forwarded.
   * Resolves when that has happened.
   */
  cutAfter(bytes: number, direction: Direction): Promise<ProxiedConnection> {
    return this.trip((done) => ({ kind: 'cut-after', direction, bytes, carried: new Map(), done }));
  }

  /**
   * Waits for a request that contains `marker` (by default: for any bytes), forwards it, and resets the client's
   * connection when the server answers, with the answer swallowed. The server is told politely, so that whatever it was
   * sent takes effect. Resolves when that has happened.
   */
  loseReply(marker: string | Buffer = ''): Promise<ProxiedConnection> {
    return this.trip((done) => ({ kind: 'lose-reply', marker: Buffer.from(marker), armed: new Set(), done }));
  }

  /** Resolves with the next connection that a client makes, joined to the server or not. */
  nextConnection(): Promise<ProxiedConnection> {
    return new Promise((resolve) => this.waitingForConnection.push(resolve));
  }

  /** Resolves when bytes that contain `marker` (by default: any bytes) have arrived here, forwarded or not. */
  nextBytes(direction: Direction, marker: string | Buffer = ''): Promise<ProxiedConnection> {
    return new Promise((resolve) => this.watchers.add({ direction, marker: Buffer.from(marker), resolve }));
  }

  async close(): Promise<void> {
    this.cut();
    await this.refuse();
  }

  private trip(make: (done: (link: ProxiedConnection) => void) => Trip): Promise<ProxiedConnection> {
    return new Promise((resolve) => this.trips.add(make(resolve)));
  }

  private join(client: Socket): void {
    const link: Link = new Link(client, this.target, {
      arrived: (direction, bytes) => this.notice(link, direction, bytes),
      isSilent: (direction) => this.silent.has(direction),
      delayMs: () => this.delayMs,
      forward: (direction, chunk) => this.forward(link, direction, chunk),
      closed: () => this.links.delete(link),
    });
    this.links.add(link);
    for (const resolve of this.waitingForConnection.splice(0)) resolve(link);
  }

  private notice(link: Link, direction: Direction, recent: Buffer): void {
    for (const watcher of this.watchers) {
      if (watcher.direction !== direction || !recent.includes(watcher.marker)) continue;
      this.watchers.delete(watcher);
      watcher.resolve(link);
    }
  }

  /** Hands a chunk on, unless a trip says otherwise. */
  private forward(link: Link, direction: Direction, chunk: Chunk): void {
    for (const trip of this.trips) {
      const tripped =
        trip.kind === 'cut-after' ? cutsHere(trip, link, direction, chunk) : losesHere(trip, link, direction, chunk);
      if (!tripped) continue;
      this.trips.delete(trip);
      trip.done(link);
      return;
    }
    link.write(direction, chunk.bytes);
  }
}

/** One connection through the proxy. */
export interface ProxiedConnection {
  /** Bytes that arrived from the client, and from the server. */
  readonly arrived: Readonly<Record<Direction, number>>;
  /** Resolves when both sides are closed. */
  readonly closed: Promise<void>;
  /** Resets it, on both sides. */
  cut(): void;
  /** As the proxy's own `silence`, for this connection alone. */
  silence(direction?: Direction | 'both'): void;
  /** Ends its silence. */
  resume(): void;
}

interface Watcher {
  readonly direction: Direction;
  readonly marker: Buffer;
  readonly resolve: (link: ProxiedConnection) => void;
}

type Trip = CutAfter | LoseReply;

interface CutAfter {
  readonly kind: 'cut-after';
  readonly direction: Direction;
  readonly bytes: number;
  readonly carried: Map<Link, number>;
  readonly done: (link: ProxiedConnection) => void;
}

interface LoseReply {
  readonly kind: 'lose-reply';
  readonly marker: Buffer;
  /** Connections on which the request has gone out. */
  readonly armed: Set<Link>;
  readonly done: (link: ProxiedConnection) => void;
}

function cutsHere(trip: CutAfter, link: Link, direction: Direction, chunk: Chunk): boolean {
  if (direction !== trip.direction) return false;
  const before = trip.carried.get(link) ?? 0;
  trip.carried.set(link, before + chunk.bytes.length);
  if (before + chunk.bytes.length < trip.bytes) return false;
  link.write(direction, chunk.bytes.subarray(0, trip.bytes - before), () => link.cut());
  return true;
}

function losesHere(trip: LoseReply, link: Link, direction: Direction, chunk: Chunk): boolean {
  if (direction === 'to-client') {
    if (!trip.armed.has(link)) return false;
    link.abandonClient();
    return true;
  }
  if (chunk.recent.includes(trip.marker)) trip.armed.add(link);
  return false;
}

interface LinkHooks {
  arrived(direction: Direction, recent: Buffer): void;
  isSilent(direction: Direction): boolean;
  delayMs(): number;
  forward(direction: Direction, chunk: Chunk): void;
  closed(): void;
}

interface Chunk {
  readonly bytes: Buffer;
  /** With what came right before it, for markers that lie across two chunks. */
  readonly recent: Buffer;
}

/** `undefined`: the end. */
interface Item {
  readonly chunk: Chunk | undefined;
  readonly dueAt: number;
}

/** How much of what came before is looked through for a marker. */
const RECENT_BYTES = 4_096;

class Link implements ProxiedConnection {
  readonly arrived: Record<Direction, number> = { 'to-server': 0, 'to-client': 0 };
  readonly closed: Promise<void>;
  private readonly server: Socket;
  private readonly lanes: Readonly<Record<Direction, Item[]>> = { 'to-server': [], 'to-client': [] };
  private readonly silent = new Set<Direction>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly client: Socket,
    target: Endpoint,
    private readonly hooks: LinkHooks,
  ) {
    this.server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    this.closed = Promise.all([this.attach(client, 'to-server'), this.attach(this.server, 'to-client')]).then(() => {
      clearTimeout(this.timer);
      this.hooks.closed();
    });
  }

  get clientIsOpen(): boolean {
    return !this.client.destroyed;
  }

  cut(): void {
    for (const lane of Object.values(this.lanes)) lane.length = 0;
    reset(this.client);
    reset(this.server);
  }

  silence(direction: Direction | 'both' = 'both'): void {
    for (const one of directions(direction)) this.silent.add(one);
  }

  resume(): void {
    this.silent.clear();
    this.pump();
  }

  /** Resets the client's side; the server reads to the end of what it was sent, and its answers go nowhere. */
  abandonClient(): void {
    this.lanes['to-client'].length = 0;
    reset(this.client);
    this.server.end();
  }

  write(direction: Direction, bytes: Buffer, done?: () => void): void {
    const sink = direction === 'to-server' ? this.server : this.client;
    sink.write(bytes, () => done?.());
  }

  /** Hands on what is due and not held. */
  pump(): void {
    clearTimeout(this.timer);
    const now = performance.now();
    let next = Infinity;
    for (const direction of directions('both')) {
      const lane = this.lanes[direction];
      while (lane[0] !== undefined && !this.silent.has(direction) && !this.hooks.isSilent(direction)) {
        if (lane[0].dueAt > now) {
          next = Math.min(next, lane[0].dueAt);
          break;
        }
        this.handOn(direction, lane.shift() as Item);
      }
    }
    if (next < Infinity) this.timer = setTimeout(() => this.pump(), next - now);
  }

  private handOn(direction: Direction, { chunk }: Item): void {
    if (chunk !== undefined) this.hooks.forward(direction, chunk);
    else if (direction === 'to-server') this.server.end();
    else this.client.end();
  }

  /** Resolves when the socket is closed. */
  private attach(socket: Socket, direction: Direction): Promise<void> {
    let before: Buffer = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      const recent = Buffer.concat([before, bytes]);
      before = recent.subarray(Math.max(0, recent.length - RECENT_BYTES));
      this.arrived[direction] += bytes.length;
      this.hooks.arrived(direction, recent);
      this.push(direction, { bytes, recent });
    });
    socket.on('end', () => this.push(direction, undefined));
    return new Promise((resolve) => {
      socket.on('close', (hadError) => {
        // A reset is no end; the other side learns of it in its turn, as of an end.
        if (hadError) this.push(direction, undefined);
        resolve();
      });
    });
  }

  private push(direction: Direction, chunk: Chunk | undefined): void {
    this.lanes[direction].push({ chunk, dueAt: performance.now() + this.hooks.delayMs() });
    this.pump();
  }
}

/**
 * The second half of `resetAndDestroy`, which waits first until everything is written; one who does not read would keep
 * it waiting. (One who reads the last bytes and the reset in one go may take it for an end; that is libuv.)
 */
function reset(socket: Socket): void {
  if (!socket.connecting) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}

function directions(direction: Direction | 'both'): readonly Direction[] {
  return direction === 'both' ? ['to-server', 'to-client'] : [direction];
}

function listen(port: number, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, onConnection);
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** Without waiting for the connections that are open. */
function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => resolve();
    server.close(done);
    // `close` calls back when the last connection has ended; listening stops at once.
    setImmediate(done);
  });
}
