import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { InvalidFields, refuse } from '../../http/field-error.js';
import type { AnyScheduleKind, KindName } from '../schedules/schedule-kinds.js';
import { KINDS, SCHEDULE_KINDS } from '../schedules/schedule-kinds.js';
import { scheduleErrors, SchedulesService } from '../schedules/schedules.service.js';
import type { PeriodicTaskPatch } from './periodic-task.dto.js';

/** What a request says about its schedule. */
export type ScheduleChoice =
  { readonly kind: AnyScheduleKind; readonly inline: object } | { readonly kind: AnyScheduleKind; readonly id: number };

/** References of a periodic task; exactly one is set. */
export type ScheduleReferences = Readonly<Record<KindName, { readonly id: number } | null>>;

/** The schedule of a request; undefined when it names none. Throws 400 for two, and for one that is no schedule. */
export function scheduleChoice(dto: PeriodicTaskPatch): ScheduleChoice | undefined {
  const given = SCHEDULE_KINDS.flatMap((name): (ScheduleChoice & { field: string })[] => {
    const kind = KINDS[name];
    const inline = dto[name];
    const id = dto[`${name}Id`];
    return [
      ...(inline === undefined ? [] : [{ field: name, kind, inline }]),
      ...(id === undefined ? [] : [{ field: `${name}Id`, kind, id }]),
    ];
  });
  const [choice, second] = given;
  if (second !== undefined) {
    const message = `give one schedule only; ${choice?.field} is one already`;
    throw new InvalidFields([{ field: second.field, message }]);
  }
  if (choice !== undefined && 'inline' in choice)
    refuse(scheduleErrors(choice.kind, choice.inline, `${choice.kind.name}.`));
  return choice;
}

/** Turns a choice into references, and makes the row of an inline schedule. */
@Injectable()
export class ScheduleReferencer {
  constructor(private readonly schedules: SchedulesService) {}

  async references(choice: ScheduleChoice, manager: EntityManager): Promise<ScheduleReferences> {
    const { name } = choice.kind;
    const id =
      'id' in choice
        ? await this.known(choice, manager)
        : (await this.schedules.rowFor(choice.kind, choice.inline, manager)).id;
    return { crontab: null, interval: null, clocked: null, solar: null, [name]: { id: Number(id) } };
  }

  private async known(choice: { kind: AnyScheduleKind; id: number }, manager: EntityManager): Promise<number> {
    const { kind, id } = choice;
    if (await manager.existsBy(kind.entity, { id })) return id;
    throw new InvalidFields([
      { field: `${kind.name}Id`, message: `there is no ${kind.name} schedule with the id ${id}` },
    ]);
  }
}
