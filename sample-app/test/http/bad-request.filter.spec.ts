import type { INestApplication } from '@nestjs/common';
import { Controller, Get } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { BrokerError, UsageError } from '@taskqueue/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BadRequestFilter } from '../../src/http/bad-request.filter.js';

@Controller()
class Failing {
  @Get('away')
  away(): never {
    throw new BrokerError({ code: 'BROKER_UNAVAILABLE', message: 'secret-host cannot be reached', retryable: true });
  }

  @Get('misused')
  misused(): never {
    throw new UsageError({ code: 'TASK_ARGUMENTS_INVALID', message: 'not this', fields: { field: 'args' } });
  }

  @Get('broken')
  broken(): never {
    throw new Error('a fault of ours');
  }
}

let app: INestApplication;

beforeAll(async () => {
  const module = await Test.createTestingModule({ controllers: [Failing] }).compile();
  app = module.createNestApplication({ logger: false });
  app.useGlobalFilters(new BadRequestFilter(app.get(HttpAdapterHost).httpAdapter));
  await app.listen(0, '127.0.0.1');
});

afterAll(() => app.close());

const ask = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await fetch(`${await app.getUrl()}/${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

it('says of a queue that cannot be reached that it may be asked again, and not where it is', async () => {
  const { status, body } = await ask('away');
  expect(status).toBe(503);
  expect(JSON.stringify(body)).not.toContain('secret-host');
});

it('names the field that the queue refuses', async () => {
  expect(await ask('misused')).toMatchObject({ status: 400, body: { field: 'args', errors: [{ field: 'args' }] } });
});

it('keeps other errors to itself', async () => {
  expect(await ask('broken')).toEqual({ status: 500, body: { statusCode: 500, message: 'Internal server error' } });
});
