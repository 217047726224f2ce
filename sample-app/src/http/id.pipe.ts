import type { PipeTransform } from '@nestjs/common';
import { Injectable, NotFoundException } from '@nestjs/common';

/** The number of a row. What cannot be one is as unknown as a number that is not given out. */
@Injectable()
export class IdPipe implements PipeTransform<string, number> {
  transform(value: string): number {
    if (/^[1-9]\d{0,14}$/.test(value)) return Number(value);
    throw new NotFoundException(`There is nothing with the id ${value}.`);
  }
}

/** The id of a task, as the queue or its callers give them out. */
@Injectable()
export class TaskIdPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (/^[\x21-\x7e]{1,255}$/.test(value)) return value;
    throw new NotFoundException(`No task has the id ${value}.`);
  }
}
