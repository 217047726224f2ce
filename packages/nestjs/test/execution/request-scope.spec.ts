import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { Inject, Injectable, Module, Scope, UseGuards } from '@nestjs/common';
import type { ContextId, ContextIdStrategy, HostComponentInfo } from '@nestjs/core';
import { ContextIdFactory, REQUEST } from '@nestjs/core';
import type { TaskContext } from '@taskqueue/core';
import { afterEach, describe, expect, it } from 'vitest';
import { SharedTask } from '../../src/index.js';
import { applications } from '../application-under-test.js';

const boot = applications(afterEach);
let made = 0;

@Injectable({ scope: Scope.REQUEST })
class Session {
  readonly number = (made += 1);
  constructor(@Inject(REQUEST) readonly request: TaskContext) {}
}

@Injectable({ scope: Scope.REQUEST })
class SessionGuard implements CanActivate {
  constructor(private readonly session: Session) {}
  canActivate(_context: ExecutionContext): boolean {
    return this.session.request.headers['role'] !== 'guest';
  }
}

@Injectable()
class Scoped {
  constructor(private readonly session: Session) {}
  @SharedTask()
  async run(text: string): Promise<unknown[]> {
    return [this.session.number, this.session.request.name, this.session.request.headers['tenant'], text];
  }
}

@Injectable()
class ScopedByGuard {
  @SharedTask()
  @UseGuards(SessionGuard)
  async run(): Promise<string> {
    return 'in';
  }
}

describe('request scope', () => {
  it('gives each execution its own instances, and its context as REQUEST', async () => {
    const one = await boot({ providers: [Session, Scoped] });
    const first = made;
    expect((await one.run('Scoped.run', ['a'], { headers: { tenant: 't1' } })).value).toEqual([
      first + 1,
      'Scoped.run',
      't1',
      'a',
    ]);
    expect((await one.run('Scoped.run', ['b'], { headers: { tenant: 't2' } })).value).toEqual([
      first + 2,
      'Scoped.run',
      't2',
      'b',
    ]);
  });

  it('keeps executions apart that run side by side', async () => {
    const one = await boot({ providers: [Session, Scoped] });
    const tasks = one.client.for(Scoped);
    const handles = await Promise.all(
      ['a', 'b', 'c'].map((tenant) => tasks.run.applyAsync([tenant], { headers: { tenant } })),
    );
    await one.queue.drain();
    const values = await Promise.all(handles.map((handle) => handle.get()));
    expect(values.map((value) => value[2])).toEqual(['a', 'b', 'c']);
    expect(new Set(values.map((value) => value[0])).size).toBe(3);
  });

  it('comes from a guard as well', async () => {
    const one = await boot({ providers: [Session, ScopedByGuard] });
    expect((await one.run('ScopedByGuard.run', [])).value).toBe('in');
    expect((await one.run('ScopedByGuard.run', [], { headers: { role: 'guest' } })).state).toBe('REJECTED');
  });

  it('finds the right provider where two modules use one token', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Left {
      @SharedTask()
      async run(): Promise<string> {
        return 'left';
      }
    }
    @Injectable({ scope: Scope.REQUEST })
    class Right {
      @SharedTask()
      async run(): Promise<string> {
        return 'right';
      }
    }
    @Module({ providers: [{ provide: 'TASKS', useClass: Left }] })
    class LeftModule {}
    @Module({ providers: [{ provide: 'TASKS', useClass: Right }] })
    class RightModule {}
    const one = await boot({ imports: [LeftModule, RightModule] });
    expect((await one.run('Left.run')).value).toBe('left');
    expect((await one.run('Right.run')).value).toBe('right');
  });
});

describe('durable providers', () => {
  const tenants = new Map<string, ContextId>();
  const strategy: ContextIdStrategy<TaskContext> = {
    attach(contextId, request) {
      const tenant = (request.headers['tenant'] as string | undefined) ?? 'none';
      const shared = tenants.get(tenant) ?? ContextIdFactory.create();
      tenants.set(tenant, shared);
      return {
        resolve: (info: HostComponentInfo) => (info.isTreeDurable ? shared : contextId),
        payload: { tenant },
      };
    },
  };

  @Injectable({ scope: Scope.REQUEST, durable: true })
  class TenantStore {
    readonly number = (made += 1);
    constructor(@Inject(REQUEST) readonly payload: { readonly tenant: string }) {}
  }
  @Injectable()
  class TenantTasks {
    constructor(private readonly store: TenantStore) {}
    @SharedTask()
    async run(): Promise<[number, string, string[]]> {
      return [this.store.number, this.store.payload.tenant, Object.keys(this.store.payload)];
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class MixedTasks {
    constructor(
      private readonly store: TenantStore,
      @Inject(REQUEST) private readonly request: TaskContext & { readonly tenant: string },
    ) {}
    @SharedTask()
    async run(): Promise<unknown[]> {
      return [this.store.payload.tenant, this.request.tenant, this.request.name];
    }
  }

  it('live as long as their tenant', async () => {
    ContextIdFactory.apply(strategy);
    try {
      const one = await boot({ providers: [TenantStore, TenantTasks, MixedTasks] });
      const run = async (tenant: string) =>
        (await one.run('TenantTasks.run', [], { headers: { tenant } })).value as [number, string, string[]];
      const [a1, b1, a2] = [await run('a'), await run('b'), await run('a')];
      expect([a1[1], b1[1], a2[1]]).toEqual(['a', 'b', 'a']);
      expect(a2[0]).toBe(a1[0]);
      // Not the context of the run that happened to come first: that one ends.
      expect(a2[2]).toEqual(['tenant']);
      expect(b1[0]).not.toBe(a1[0]);
      const mixed = await one.run('MixedTasks.run', [], { headers: { tenant: 'c' } });
      expect(mixed.value).toEqual(['c', 'c', 'MixedTasks.run']);
    } finally {
      ContextIdFactory.apply(undefined as never);
    }
  });

  it('never keep the context of a run, which ends before they do', async () => {
    const shared = ContextIdFactory.create();
    ContextIdFactory.apply({
      attach: (contextId) => (info: HostComponentInfo) => (info.isTreeDurable ? shared : contextId),
    });
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Keeper {
      constructor(@Inject(REQUEST) readonly request: unknown) {}
    }
    @Injectable()
    class KeeperTasks {
      constructor(private readonly keeper: Keeper) {}
      @SharedTask()
      async run(): Promise<string> {
        return typeof this.keeper.request;
      }
    }
    try {
      const one = await boot({ providers: [Keeper, KeeperTasks] });
      expect((await one.run('KeeperTasks.run')).value).toBe('undefined');
    } finally {
      ContextIdFactory.apply(undefined as never);
    }
  });
});
