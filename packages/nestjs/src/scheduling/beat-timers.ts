import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';

/** The few members of `@nestjs/schedule`'s registry that are used; the package is the user's, and optional. */
interface SchedulerRegistry {
  doesExist(type: 'timeout', name: string): boolean;
  addTimeout(name: string, timeout: unknown): void;
  deleteTimeout(name: string): void;
}

/** Prefix of our names in the registry. */
const PREFIX = 'taskqueue:';
const LONGEST_TIMER_MS = 2_147_483_647;

/**
 * Shows beat's next runs in the `SchedulerRegistry` of `@nestjs/schedule`, where that module is imported: one timeout a
 * schedule entry, named `taskqueue:<entry>`. They are real timers, and wake beat at their time.
 */
@Injectable()
export class BeatTimers {
  private registry: Promise<SchedulerRegistry | undefined> | undefined;
  private readonly shown = new Map<string, number>();
  /** Set by whoever runs beat. */
  wake: () => void = () => undefined;

  constructor(private readonly moduleRef: ModuleRef) {}

  /** An entry's next run is known. */
  readonly show = (plan: { readonly name: string; readonly dueAt: number | undefined }): void => {
    if (this.shown.get(plan.name) === plan.dueAt && plan.dueAt !== undefined) return;
    this.registry ??= this.find();
    void this.registry.then((registry) => {
      if (registry !== undefined) this.replace(registry, plan);
    });
  };

  /** Removes all of them. */
  clear(): void {
    void this.registry?.then((registry) => {
      for (const name of this.shown.keys()) if (registry !== undefined) remove(registry, PREFIX + name);
      this.shown.clear();
    });
  }

  private replace(registry: SchedulerRegistry, { name, dueAt }: { name: string; dueAt: number | undefined }): void {
    remove(registry, PREFIX + name);
    this.shown.delete(name);
    if (dueAt === undefined) return;
    const waitMs = Math.min(LONGEST_TIMER_MS, Math.max(0, dueAt - Date.now()));
    const timer = setTimeout(() => this.wake(), waitMs);
    timer.unref();
    registry.addTimeout(PREFIX + name, timer);
    this.shown.set(name, dueAt);
  }

  private async find(): Promise<SchedulerRegistry | undefined> {
    try {
      const { SchedulerRegistry: token } = (await import('@nestjs/schedule' as string)) as { SchedulerRegistry: never };
      return this.moduleRef.get(token, { strict: false });
    } catch {
      // Not installed, or not imported by this application.
      return undefined;
    }
  }
}

function remove(registry: SchedulerRegistry, name: string): void {
  if (registry.doesExist('timeout', name)) registry.deleteTimeout(name);
}
