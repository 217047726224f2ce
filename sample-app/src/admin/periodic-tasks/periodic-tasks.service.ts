import { Injectable, NotFoundException } from '@nestjs/common';
import { InjectDataSource, InjectRepository } from '@nestjs/typeorm';
import { TaskClient, TaskQueueRuntime } from '@taskqueue/nestjs';
import { PeriodicTask } from '@taskqueue/typeorm';
import type { EntityManager } from 'typeorm';
import { DataSource, Repository } from 'typeorm';
import { FieldConflict, InvalidFields, refuse } from '../../http/field-error.js';
import { rowsOf } from '../../http/page.js';
import { CallCheck, queueErrors } from './call-check.js';
import { isDuplicate } from './duplicate.js';
import type { PeriodicTaskDto, PeriodicTaskPatch, PeriodicTaskQuery } from './periodic-task.dto.js';
import type { PeriodicTaskPage, PeriodicTaskView } from './periodic-task.view.js';
import { SCHEDULE_RELATIONS, viewOf } from './periodic-task.view.js';
import { scheduleChoice, ScheduleReferencer } from './schedule-choice.js';

/** Fields that are columns as they stand. */
const AS_GIVEN = [
  'name',
  'task',
  'queue',
  'priority',
  'expireSeconds',
  'oneOff',
  'enabled',
  'description',
  'misfire',
  'overlap',
  'jitterMs',
] as const;

/**
 * Periodic tasks as rows. Only the columns of a request are written: the others are beat's, which moves the due instant
 * at any time. Beat notices a write within a second and computes the next due instant anew when the schedule differs.
 */
@Injectable()
export class PeriodicTasksService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @InjectRepository(PeriodicTask) private readonly rows: Repository<PeriodicTask>,
    private readonly calls: CallCheck,
    private readonly referencer: ScheduleReferencer,
    private readonly queue: TaskQueueRuntime,
    private readonly tasks: TaskClient,
  ) {}

  async list(query: PeriodicTaskQuery): Promise<PeriodicTaskPage> {
    const { page, limit, skip, take } = rowsOf(query);
    const where = {
      ...(query.enabled === undefined ? {} : { enabled: query.enabled === 'true' }),
      ...(query.task === undefined ? {} : { task: query.task }),
    };
    const order = { name: 'asc' } as const;
    const [rows, total] = await this.rows.findAndCount({ where, order, skip, take, relations: SCHEDULE_RELATIONS });
    return { items: rows.map((row) => this.view(row)), page, limit, total };
  }

  async show(id: number): Promise<PeriodicTaskView> {
    return this.view(await this.row(id));
  }

  async create(dto: Readonly<PeriodicTaskDto>): Promise<PeriodicTaskView> {
    const choice = scheduleChoice(dto);
    const { task, args = [], kwargs = {}, headers = {} } = dto;
    refuse([...(await this.calls.errors({ task, args, kwargs, headers })), ...fieldErrors(dto)]);
    if (choice === undefined) {
      throw new InvalidFields([{ field: 'schedule', message: 'give one of crontab, interval, clocked, solar' }]);
    }
    const oneOff = dto.oneOff ?? choice.kind.name === 'clocked';
    return this.write(dto.name, async (manager) => {
      const references = await this.referencer.references(choice, manager);
      const columns = { ...this.columns({ ...dto, oneOff }), ...references };
      const { id } = await manager.save(PeriodicTask, columns as Partial<PeriodicTask>);
      return Number(id);
    });
  }

  async update(id: number, patch: Readonly<PeriodicTaskPatch>): Promise<PeriodicTaskView> {
    const before: Readonly<PeriodicTaskView> = await this.show(id);
    const choice = scheduleChoice(patch);
    const merged = { ...before, ...patch };
    const callChanged =
      patch.task !== undefined || patch.args !== undefined || patch.kwargs !== undefined || patch.headers !== undefined;
    refuse([...(callChanged ? await this.calls.errors(merged) : []), ...fieldErrors(merged)]);
    return this.write(merged.name, async (manager) => {
      const references = choice === undefined ? {} : await this.referencer.references(choice, manager);
      await manager.update(PeriodicTask, id, { ...this.columns(patch), ...references } as object);
      return id;
    });
  }

  async remove(id: number): Promise<void> {
    await this.row(id);
    await this.rows.delete(id);
  }

  /** Sends the task now, as beat would, whether it is enabled or not; the schedule goes on as before. */
  async run(id: number): Promise<{ taskId: string }> {
    const entry = await this.show(id);
    const { task, args, kwargs, queue, priority, headers, expireSeconds } = entry;
    refuse(await this.calls.errors(entry));
    const handle = await this.tasks.sendTask(task, args, kwargs, {
      headers: { ...headers, periodic_task_name: entry.name },
      ...(queue === null ? {} : { queue }),
      ...(priority === null ? {} : { priority }),
      ...(expireSeconds === null ? {} : { expires: expireSeconds * 1_000 }),
    });
    return { taskId: handle.id };
  }

  private async write(name: string, work: (manager: EntityManager) => Promise<number>): Promise<PeriodicTaskView> {
    try {
      return await this.show(await this.dataSource.transaction(work));
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      throw new FieldConflict({ field: 'name', message: `A periodic task is named "${name}" already` });
    }
  }

  private async row(id: number): Promise<PeriodicTask> {
    const row = await this.rows.findOne({ where: { id }, relations: SCHEDULE_RELATIONS });
    if (row === null) throw new NotFoundException(`There is no periodic task with the id ${id}.`);
    return row;
  }

  private view(row: PeriodicTask): PeriodicTaskView {
    return viewOf(row, this.queue.clock.now());
  }

  /** The columns of what a request gives, and no others. */
  private columns(dto: Readonly<PeriodicTaskPatch>): Partial<PeriodicTask> {
    const columns = {
      ...Object.fromEntries(AS_GIVEN.map((field) => [field, dto[field]])),
      args: json(dto.args),
      kwargs: json(dto.kwargs),
      headers: dto.headers === null ? null : json(dto.headers),
      expires: instant(dto.expires),
      startTime: instant(dto.startTime),
      dateChanged: this.queue.clock.now(),
    };
    return Object.fromEntries(
      Object.entries(columns).filter(([, value]) => value !== undefined),
    ) as Partial<PeriodicTask>;
  }
}

function fieldErrors(dto: Pick<PeriodicTaskPatch, 'queue' | 'expires' | 'expireSeconds'>) {
  const both = (dto.expires ?? null) !== null && (dto.expireSeconds ?? null) !== null;
  const errors = queueErrors(dto.queue);
  return both ? [...errors, { field: 'expireSeconds', message: 'not together with expires' }] : errors;
}

function json(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

function instant(text: string | null | undefined): number | null | undefined {
  return typeof text === 'string' ? Date.parse(text) : text;
}
