import { Controller, Get, Injectable, Module, Scope } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { Every, SharedTask, TaskHost, TaskQueueRuntime } from '../../src/index.js';
import { applications } from '../application-under-test.js';

const boot = applications(afterEach);

async function failureOf(
  booting: Promise<unknown>,
): Promise<Error & { readonly problems?: readonly { path: string }[] }> {
  return booting.then(
    () => expect.fail('it should not have started'),
    (error: unknown) => error as Error,
  );
}

class Dependency {
  readonly word = 'hello';
}

@Injectable()
class InModule {
  constructor(private readonly dependency: Dependency) {}
  @SharedTask()
  async run(): Promise<string> {
    return this.dependency.word;
  }
}

@Module({ providers: [InModule, Dependency] })
class Feature {}
@Module({ imports: [Feature] })
class Outer {}

@Injectable({ scope: Scope.REQUEST })
class Scoped {
  @SharedTask()
  async run(): Promise<string> {
    return 'scoped';
  }
}

class Made {
  constructor(private readonly word: string) {}
  @SharedTask()
  async run(): Promise<string> {
    return this.word;
  }
}

class Given extends Made {}

@Injectable()
class Base {
  @SharedTask({ queue: 'base' })
  async inherited(word: string): Promise<string> {
    return `${this.constructor.name} ${word}`;
  }
  @SharedTask()
  async overridden(): Promise<string> {
    return 'base';
  }
}
@Injectable()
class Derived extends Base {
  override async overridden(): Promise<string> {
    return 'derived';
  }
}

@Injectable()
@TaskHost({ name: 'mail', queue: 'mail', priority: 3, retry: { max: 7 } })
class Hosted {
  @SharedTask()
  async send(): Promise<void> {}
  @SharedTask({ queue: 'urgent', name: 'pinned.name' })
  async pinned(): Promise<void> {}
}

describe('discovery', () => {
  it('finds tasks in any module, and request-scoped ones', async () => {
    const one = await boot({ imports: [Outer], providers: [Scoped] });
    expect(await one.run('InModule.run')).toMatchObject({ value: 'hello' });
    expect(await one.run('Scoped.run')).toMatchObject({ value: 'scoped' });
  });

  it('finds tasks of providers by factory and by value, also under other tokens, and each once', async () => {
    const given = new Given('given');
    const one = await boot({
      providers: [
        { provide: 'MADE', useFactory: async () => new Made('made') },
        { provide: 'GIVEN', useValue: given },
        { provide: 'SAME', useValue: given },
        { provide: 'ALIAS', useExisting: 'MADE' },
        { provide: 'BY_CLASS', useClass: Base },
        { provide: 'PLAIN', useValue: { run: () => 1 } },
        { provide: 'NOTHING', useValue: null },
        { provide: 'BARE', useValue: Object.create(null) as object },
      ],
    });
    expect(await one.run('Made.run')).toMatchObject({ value: 'made' });
    expect(await one.run('Given.run')).toMatchObject({ value: 'given' });
    expect(await one.run('Base.inherited', ['x'])).toMatchObject({ value: 'Base x' });
  });

  it('gives a derived class the tasks that it inherits, under its own name', async () => {
    const one = await boot({ providers: [Base, Derived] });
    expect(await one.run('Derived.inherited', ['x'])).toMatchObject({ value: 'Derived x' });
    expect(await one.run('Base.overridden')).toMatchObject({ value: 'base' });
    expect(one.app.get(TaskQueueRuntime).registry.names()).toEqual([
      'Base.inherited',
      'Base.overridden',
      'Derived.inherited',
    ]);
  });

  it('takes name prefix and defaults from @TaskHost, and what the method says itself wins', async () => {
    const one = await boot({ providers: [Hosted] });
    const { registry } = one.app.get(TaskQueueRuntime);
    expect(registry.get('mail.send').definition).toMatchObject({ queue: 'mail', priority: 3, retry: { max: 7 } });
    expect(registry.get('pinned.name').definition).toMatchObject({ queue: 'urgent', priority: 3 });
  });

  it('finds tasks of a transient provider, new for each run', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient {
      private runs = 0;
      @SharedTask()
      async run(): Promise<number> {
        return (this.runs += 1);
      }
    }
    const one = await boot({ providers: [Transient] });
    expect(await one.run('Transient.run')).toMatchObject({ value: 1 });
    expect(await one.run('Transient.run')).toMatchObject({ value: 1 });
  });
});

describe('refusals at the start', () => {
  it('names both sources of a duplicate, with their modules', async () => {
    @Injectable()
    class Other {
      @SharedTask({ name: 'InModule.run' })
      async elsewhere(): Promise<void> {}
    }
    const error = await failureOf(boot({ imports: [Feature], providers: [Other] }));
    expect(error).toMatchObject({ code: 'TASK_DUPLICATE' });
    expect(error.message).toContain('InModule.run (Feature)');
    expect(error.message).toContain('Other.elsewhere (RootTestModule)');
  });

  it('refuses a class that two modules provide', async () => {
    @Module({ providers: [InModule, Dependency] })
    class Again {}
    const error = await failureOf(boot({ imports: [Feature, Again] }));
    expect(error.message).toContain('InModule.run (Feature) and InModule.run (Again)');
  });

  it('lists the bad options of all classes and methods at once', async () => {
    class First {
      @SharedTask({ queue: 'no spaces', priority: 11 } as never)
      async a(): Promise<void> {}
      @SharedTask({ timeLimit: 'soon' as never, retry: { max: -1 } })
      async b(): Promise<void> {}
    }
    class Second {
      @SharedTask({ qeue: 'x' } as never)
      async c(): Promise<void> {}
    }
    const error = await failureOf(boot({ providers: [First, Second] }));
    expect(error).toMatchObject({ code: 'CONFIGURATION_INVALID' });
    expect(error.problems?.map(({ path }) => path).sort()).toEqual([
      'task First.a.priority',
      'task First.a.queue',
      'task First.b.retry.max',
      'task First.b.timeLimit',
      'task Second.c.qeue',
    ]);
  });

  it('refuses what the pipeline cannot pass on', async () => {
    class Odd {
      @SharedTask()
      async rest(first: number, ...others: number[]): Promise<number> {
        return first + others.length;
      }
      @SharedTask({ params: ['a', 'b'] })
      async params(a: number): Promise<number> {
        return a;
      }
      @SharedTask()
      async destructures({ a, ...others }: Record<string, number>): Promise<unknown> {
        return [a, others];
      }
    }
    const error = await failureOf(boot({ providers: [Odd] }));
    expect(error.problems?.map(({ path }) => path)).toEqual(['Odd.rest', 'Odd.params params']);
    expect(error.message).toContain('Take an array instead');
  });

  it('refuses a schedule without a task, and tasks in controllers', async () => {
    class Forgetful {
      @Every('1m')
      async tick(): Promise<void> {}
    }
    @Controller('x')
    class InController {
      @Get()
      get(): number {
        return 1;
      }
      @SharedTask()
      async work(): Promise<void> {}
    }
    const error = await failureOf(boot({ providers: [Forgetful], controllers: [InController] }));
    expect(error.problems?.map(({ path }) => path)).toEqual(['InController.work', 'Forgetful.tick']);
  });
});
