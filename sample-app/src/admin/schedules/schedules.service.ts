import { Injectable, NotFoundException } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { ConfigurationProblem } from '@taskqueue/core';
import { nextRuns, showValue, validateScheduleSpec } from '@taskqueue/core';
import { TaskQueueRuntime } from '@taskqueue/nestjs';
import { PeriodicTask } from '@taskqueue/typeorm';
import type { EntityManager, FindOptionsWhere } from 'typeorm';
import { DataSource } from 'typeorm';
import type { FieldError } from '../../http/field-error.js';
import { FieldConflict, refuse } from '../../http/field-error.js';
import type { Page, PageQuery } from '../../http/page.js';
import { rowsOf } from '../../http/page.js';
import type { Identified, ScheduleKind } from './schedule-kinds.js';
import type { ScheduleFacts } from './schedule.view.js';
import { upcoming } from './upcoming.js';

type View<Dto> = Dto & ScheduleFacts;

/**
 * Rows of the four schedule tables. Periodic tasks share them: an edit here changes every task that refers to the row,
 * and beat notices it within a second.
 */
@Injectable()
export class SchedulesService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly queue: TaskQueueRuntime,
  ) {}

  async list<Row extends Identified, Dto extends object>(
    kind: ScheduleKind<Row, Dto>,
    query: PageQuery,
  ): Promise<Page & { items: View<Dto>[] }> {
    const { page, limit, skip, take } = rowsOf(query);
    const order = { id: 'asc' } as object;
    const [rows, total] = await this.dataSource.manager.findAndCount(kind.entity, { skip, take, order });
    return { items: rows.map((row) => this.view(kind, row)), page, limit, total };
  }

  async show<Row extends Identified, Dto extends object>(kind: ScheduleKind<Row, Dto>, id: number): Promise<View<Dto>> {
    return this.view(kind, await this.row(kind, id, this.dataSource.manager));
  }

  async create<Row extends Identified, Dto extends object>(kind: ScheduleKind<Row, Dto>, dto: Dto): Promise<View<Dto>> {
    refuse(scheduleErrors(kind, dto, ''));
    return this.dataSource.transaction(async (manager) => {
      await refuseEqual(kind, dto, manager);
      return this.view(kind, await insert(kind, dto, manager));
    });
  }

  async update<Row extends Identified, Dto extends object>(
    kind: ScheduleKind<Row, Dto>,
    id: number,
    patch: Partial<Dto>,
  ): Promise<View<Dto>> {
    return this.dataSource.transaction(async (manager) => {
      const row = await this.row(kind, id, manager, 'locked');
      const dto = { ...kind.dto(row), ...patch };
      refuse(scheduleErrors(kind, dto, ''));
      await refuseEqual(kind, dto, manager, id);
      const columns = kind.columns(dto);
      await manager.update(kind.entity, id, columns as object);
      return this.view(kind, { ...row, ...columns });
    });
  }

  /** 409 while a periodic task refers to it. */
  async remove<Row extends Identified, Dto extends object>(kind: ScheduleKind<Row, Dto>, id: number): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await this.row(kind, id, manager, 'locked');
      const users = await manager.find(PeriodicTask, {
        where: { [kind.name]: { id } },
        take: 3,
        order: { name: 'asc' },
      });
      if (users.length > 0) {
        const names = users.map((user) => user.name).join(', ');
        throw new FieldConflict({ field: 'id', message: `The schedule is in use by: ${names}` });
      }
      await manager.delete(kind.entity, id);
    });
  }

  /** The row of a schedule that is given inline; equal schedules share one. */
  async rowFor<Row extends Identified, Dto extends object>(
    kind: ScheduleKind<Row, Dto>,
    dto: Dto,
    manager: EntityManager,
  ): Promise<Row> {
    return (await equalRow(kind, dto, manager)) ?? (await insert(kind, dto, manager));
  }

  /** Throws 404. A row that is about to change is locked, so that no task begins to refer to it meanwhile. */
  private async row<Row extends Identified, Dto extends object>(
    kind: ScheduleKind<Row, Dto>,
    id: number,
    manager: EntityManager,
    lock?: 'locked',
  ): Promise<Row> {
    // An SQLite transaction has the whole file for itself.
    const locks = lock === 'locked' && this.dataSource.options.type === 'postgres';
    const where = { id } as FindOptionsWhere<Row>;
    const row = await manager.findOne(kind.entity, {
      where,
      ...(locks ? { lock: { mode: 'pessimistic_write' as const } } : {}),
    });
    if (row === null) throw new NotFoundException(`There is no ${kind.name} schedule with the id ${id}.`);
    return row;
  }

  private view<Row extends Identified, Dto extends object>(kind: ScheduleKind<Row, Dto>, row: Row): View<Dto> {
    const dto = kind.dto(row);
    return { id: Number(row.id), ...dto, ...upcoming(kind.spec(dto), this.queue.clock.now()) };
  }
}

/** What is wrong with a schedule, by the names that its request has; `path` is where it stands in the request. */
export function scheduleErrors<Row extends Identified, Dto extends object>(
  kind: ScheduleKind<Row, Dto>,
  dto: Dto,
  path: string,
): FieldError[] {
  const spec = kind.spec(dto);
  const problems = validateScheduleSpec(spec, kind.name).map((problem) => {
    const field = problem.path.slice(kind.name.length + 1);
    return { field: `${path}${kind.fields[field] ?? field}`, message: inWords(problem) };
  });
  if (problems.length > 0 || spec.kind === 'clocked' || nextRuns(spec, 0, 1).length > 0) return problems;
  // Such as 31 February, or sunset at a pole: nothing is wrong with either field alone.
  return spec.kind === 'solar'
    ? [{ field: `${path}latitude`, message: `${spec.event} never comes at this place` }]
    : [{ field: `${path}dayOfMonth`, message: 'the crontab never falls due: no such day comes in these months' }];
}

function inWords({ expected, value, remedy }: ConfigurationProblem): string {
  return `expected ${expected}, got ${showValue(value)}.${remedy === undefined ? '' : ` ${remedy}`}`;
}

async function equalRow<Row extends Identified, Dto extends object>(
  kind: ScheduleKind<Row, Dto>,
  dto: Dto,
  manager: EntityManager,
): Promise<Row | null> {
  await oneAtATime(kind, manager);
  const where = kind.columns(dto) as unknown as FindOptionsWhere<Row>;
  return manager.findOne(kind.entity, { where, order: { id: 'asc' } as object });
}

/** Until the transaction ends: two that look for an equal row at once would both find none, and both make one. */
async function oneAtATime(kind: { readonly name: string }, manager: EntityManager): Promise<void> {
  if (manager.connection.options.type !== 'postgres') return;
  await manager.query('select pg_advisory_xact_lock(hashtext($1))', [`schedules:${kind.name}`]);
}

async function refuseEqual<Row extends Identified, Dto extends object>(
  kind: ScheduleKind<Row, Dto>,
  dto: Dto,
  manager: EntityManager,
  self?: number,
): Promise<void> {
  const equal = await equalRow(kind, dto, manager);
  if (equal === null || Number(equal.id) === self) return;
  const [field = kind.name] = Object.keys(dto);
  throw new FieldConflict({ field, message: `The ${kind.name} schedule ${equal.id} is the same` });
}

async function insert<Row extends Identified, Dto extends object>(
  kind: ScheduleKind<Row, Dto>,
  dto: Dto,
  manager: EntityManager,
): Promise<Row> {
  const row = manager.create(kind.entity, kind.columns(dto) as never) as unknown as Row;
  return manager.save(row);
}
