import { MESSAGE_STATE, TABLE_PREFIX } from '../sql/dialect.js';
import { fromTextTable } from '../sql/text-table.js';
import { KEPT_COLUMNS, RESULT_COLUMNS, TERMINAL_RANK } from '../sql/result-row.js';

type Columns = readonly (readonly [name: string, type: string])[];

/** Columns of {@link RESULT_COLUMNS} that are no text. */
const RESULT_TYPES: Readonly<Record<string, string>> = {
  state_rank: 'smallint',
  run: 'integer',
  attempts: 'integer',
  date_created: 'bigint',
  date_started: 'bigint',
  date_done: 'bigint',
  expires_at: 'bigint',
};

const MESSAGE_FIELDS: Columns = [
  ['task_id', 'text'],
  ['task', 'text'],
  ['queue', 'text'],
  ['urgency', 'smallint'],
  ['due', 'bigint'],
  ['delay', 'bigint'],
  ['envelope', 'text'],
  ['body', 'text'],
];
const OWNER: Columns = [['owner', 'bigint']];
const RESULT_FIELDS: Columns = RESULT_COLUMNS.map((column) => [column, RESULT_TYPES[column] ?? 'text'] as const);
const CHANGE_FIELDS: Columns = [
  ['id', 'bigint'],
  ['run', 'integer'],
  ['kind', 'text'],
  ['reason', 'text'],
  ...MESSAGE_FIELDS.slice(1),
];

const names = (columns: Columns): string[] => columns.map(([name]) => name);

/** The order of the fields in the functions' text parameters. */
export const PUBLISH_PARAMETER = names([...MESSAGE_FIELDS, ...OWNER]);
export const PUT_PARAMETER = names([...RESULT_FIELDS, ['round', 'integer'], ...OWNER]);
export const CHANGES_PARAMETER = names(CHANGE_FIELDS);

/**
 * The statistics of a queue's table are always wrong: it is empty when they are taken and full when they are used, or
 * the other way round. So the functions say themselves which plans they want: indexes, and no plan made anew. A plan
 * that is forbidden counts as dear, and what is dear would be compiled by LLVM first, for 20 ms: hence no `jit`.
 */
const PLANS = `set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan set jit = off`;

const { ready, suspect, delayed, dead } = MESSAGE_STATE;

/**
 * The hot steps as functions of the schema: one round trip and one commit each, with no prepared statement or other
 * state left in the session, so that a transaction pooler in front does no harm. `schema` is quoted and ends with a
 * dot. A change of a function's meaning is a new function with the next number, so that old and new workers can run
 * side by side.
 */
export function postgresFunctions(schema: string, channel: string): string[] {
  return [now(schema), ring(schema, channel), publish(schema), put(schema), exchange(schema), promote(schema)];
}

/** For `down`: the functions' signatures. */
export const POSTGRES_FUNCTION_NAMES = ['exchange_v1', 'promote_v1', 'publish_v1', 'put_v1', 'ring_v1', 'now_v1'].map(
  (name) => TABLE_PREFIX + name,
);

const fn = (schema: string, name: string): string => `${schema}${TABLE_PREFIX}${name}`;
const table = (schema: string, name: string): string => `${schema}"${TABLE_PREFIX}${name}"`;

/** The store's clock, epoch milliseconds; it moves within a transaction. */
function now(schema: string): string {
  return `create or replace function ${fn(schema, 'now_v1')}() returns bigint language sql volatile as
    'select (extract(epoch from clock_timestamp()) * 1000)::bigint'`;
}

/** Wakes sleeping consumers at the commit: all of them, or only when one says that it is idle. */
function ring(schema: string, channel: string): string {
  return `create or replace function ${fn(schema, 'ring_v1')}(p_always boolean) returns void language plpgsql as $$
begin
  if p_always or exists (select 1 from ${table(schema, 'consumer')} where idle) then
    perform pg_notify('${channel}', '');
  end if;
end $$`;
}

/**
 * Answers the ids that were inserted; null when they are all, `p_count`. `p_owners`: only messages whose owner is among
 * them; null: all.
 */
function publish(schema: string): string {
  return `create or replace function ${fn(schema, 'publish_v1')}(p_messages text, p_count integer, p_announce boolean,
  p_owners bigint[]) returns text[] language plpgsql ${PLANS} as $$
declare
  v_now bigint := ${fn(schema, 'now_v1')}();
  v_accepted text[];
begin
  with inserted as (
    insert into ${table(schema, 'message')} (task_id, task, queue, urgency, due_at, state, enqueued_at, envelope, body)
    select x.task_id, x.task, x.queue, x.urgency, coalesce(v_now + x.delay, x.due),
      case when coalesce(v_now + x.delay, x.due) > v_now then ${delayed} else ${ready} end, v_now, x.envelope, x.body
    from ${fromTextTable('p_messages', [...MESSAGE_FIELDS, ...OWNER])}
    where p_owners is null or x.owner = any (p_owners)
    on conflict (task_id) do nothing
    returning task_id)
  select array_agg(task_id) into v_accepted from inserted;
  perform ${fn(schema, 'ring_v1')}(p_announce);
  return case when coalesce(cardinality(v_accepted), 0) = p_count then null else coalesce(v_accepted, '{}') end;
end $$`;
}

/** A later record of one id in one call comes in a later round, because a statement may touch a row once only. */
function put(schema: string): string {
  const assigned = RESULT_COLUMNS.filter((column) => column !== 'task_id')
    .map((column) => {
      const kept = KEPT_COLUMNS.has(column);
      return `${column} = ${kept ? `coalesce(excluded.${column}, r.${column})` : `excluded.${column}`}`;
    })
    .join(', ');
  return `create or replace function ${fn(schema, 'put_v1')}(p_records text, p_rounds integer, p_owners bigint[])
returns table (stored text, in_round integer) language plpgsql ${PLANS} as $$
#variable_conflict use_column
begin
  for v_round in 0 .. p_rounds - 1 loop
    return query
      insert into ${table(schema, 'result')} as r (${RESULT_COLUMNS.join(', ')})
      select ${RESULT_COLUMNS.map((column) => `x.${column}`).join(', ')}
      from ${fromTextTable('p_records', [...RESULT_FIELDS, ['round', 'integer'], ...OWNER])}
      where x.round = v_round and (p_owners is null or x.owner = any (p_owners)) order by x.task_id
      on conflict (task_id) do update set ${assigned}
      where r.state_rank < ${TERMINAL_RANK}
        and (excluded.run > r.run or (excluded.run = r.run and excluded.state_rank >= r.state_rank))
      returning r.task_id::text, v_round;
  end loop;
end $$`;
}

/** The other columns of a row that tells of no message. */
const NO_MESSAGE = `''::text, ''::text, 0, 0, ''::text, 0::smallint, 0::bigint, ''::text, ''::text`;

/**
 * Settles, then claims. Answers a row of kind 0 for each settlement that came too late, of kind 1 for each claimed
 * message, and of kind 2 when the consumer's row is gone. The lock on that row keeps recovery from declaring the
 * consumer dead between our look and our commit, which would leave the claimed messages to nobody. In each queue the
 * claim starts after (`p_urgencies`, `p_ids`), see Frontier; what is more urgent than that place is looked at whole.
 */
function exchange(schema: string): string {
  const message = table(schema, 'message');
  return `create or replace function ${fn(schema, 'exchange_v1')}(p_consumer bigint, p_ack_ids bigint[], p_ack_runs integer[],
  p_changes text, p_results text, p_rounds integer, p_messages text, p_announce boolean,
  p_queues text[], p_urgencies smallint[], p_ids bigint[], p_want integer, p_suspects integer)
returns table (kind smallint, id bigint, task_id text, task text, run integer, lost_leases integer, queue text,
  urgency smallint, enqueued_at bigint, envelope text, body text) language plpgsql ${PLANS} as $$
#variable_conflict use_column
declare
  v_settled bigint[] := '{}';
  v_changed bigint[];
  v_count integer;
  v_queue text;
begin
  if cardinality(p_ack_ids) > 0 then
    with gone as (
      delete from ${message} m using unnest(p_ack_ids, p_ack_runs) as a(id, run)
      where m.id = a.id and m.run = a.run and m.consumer <> 0 returning m.id)
    select coalesce(array_agg(gone.id), '{}') into v_settled from gone;
    if cardinality(v_settled) < cardinality(p_ack_ids) then
      return query select 0::smallint, l.id, ${NO_MESSAGE}
        from unnest(p_ack_ids) as l(id) where l.id <> all (v_settled);
    end if;
  end if;
  if p_changes is not null then
    ${changes(schema)}
    return query select 0::smallint, x.id, ${NO_MESSAGE}
      from ${fromTextTable('p_changes', CHANGE_FIELDS)} where x.id <> all (v_changed);
    v_settled := v_settled || v_changed;
    perform ${fn(schema, 'ring_v1')}(p_announce);
  end if;
  if p_results is not null then
    perform ${fn(schema, 'put_v1')}(p_results, p_rounds, v_settled);
  end if;
  if p_messages is not null then
    perform ${fn(schema, 'publish_v1')}(p_messages, 0, p_announce, v_settled);
  end if;
  if p_want <= 0 then
    return;
  end if;
  perform 1 from ${table(schema, 'consumer')} c where c.id = p_consumer for key share;
  if not found then
    return query select 2::smallint, 0::bigint, ${NO_MESSAGE};
    return;
  end if;
  ${claims(schema)}
end $$`;
}

/** In each queue that is not paused: a suspect, what is more urgent than our place, what comes after it. */
function claims(schema: string): string {
  return `for v_index in 1 .. cardinality(p_queues) loop
    v_queue := p_queues[v_index];
    continue when exists (select 1 from ${table(schema, 'queue')} q where q.name = v_queue and q.paused);
    if p_suspects > 0 and p_want > 0 then
      ${claim(schema, `r.state = ${suspect}`, 'least(p_suspects, p_want)')}
      p_want := p_want - v_count;
      p_suspects := p_suspects - v_count;
    end if;
    if p_want > 0 and p_urgencies[v_index] > 0 then
      ${claim(schema, `r.state = ${ready} and r.urgency < p_urgencies[v_index]`, 'p_want')}
      p_want := p_want - v_count;
    end if;
    if p_want > 0 then
      ${claim(schema, `r.state = ${ready} and (r.urgency, r.id) > (p_urgencies[v_index], p_ids[v_index])`, 'p_want')}
      p_want := p_want - v_count;
    end if;
    exit when p_want <= 0;
  end loop;`;
}

/** Releases, replacements and dead letters. */
function changes(schema: string): string {
  const due = `coalesce(${fn(schema, 'now_v1')}() + c.delay, c.due)`;
  return `with c as (
      select x.* from ${fromTextTable('p_changes', CHANGE_FIELDS)}),
    changed as (
      update ${table(schema, 'message')} m set
        consumer = 0,
        state = case c.kind when 'release' then m.state when 'dead' then ${dead}
          else case when ${due} > ${fn(schema, 'now_v1')}() then ${delayed} else ${ready} end end,
        lost_leases = case c.kind when 'replace' then 0 else m.lost_leases end,
        due_at = case c.kind when 'replace' then ${due} else m.due_at end,
        task = coalesce(c.task, m.task), queue = coalesce(c.queue, m.queue), urgency = coalesce(c.urgency, m.urgency),
        envelope = coalesce(c.envelope, m.envelope), body = coalesce(c.body, m.body),
        reason = c.reason,
        died_at = case c.kind when 'dead' then ${fn(schema, 'now_v1')}() end
      from c where m.id = c.id and m.run = c.run and m.consumer <> 0 returning m.id)
    select coalesce(array_agg(changed.id), '{}') into v_changed from changed;`;
}

function claim(schema: string, condition: string, limit: string): string {
  return `return query update ${table(schema, 'message')} m set consumer = p_consumer, run = m.run + 1
        where m.ctid = any (array(
          select r.ctid from ${table(schema, 'message')} r where r.queue = v_queue and ${condition} and r.consumer = 0
          order by r.urgency, r.id limit ${limit} for update skip locked))
        returning 1::smallint, m.id, m.task_id::text, m.task::text, m.run, m.lost_leases, m.queue::text, m.urgency,
          m.enqueued_at, m.envelope, m.body;
      get diagnostics v_count = row_count;`;
}

function promote(schema: string): string {
  const message = table(schema, 'message');
  return `create or replace function ${fn(schema, 'promote_v1')}(p_limit integer)
returns table (promoted integer, next_in_ms bigint) language plpgsql ${PLANS} as $$
declare
  v_now bigint := ${fn(schema, 'now_v1')}();
  v_count integer;
begin
  update ${message} m set state = ${ready} where m.ctid = any (array(
    select r.ctid from ${message} r where r.state = ${delayed} and r.due_at <= v_now
    order by r.due_at limit p_limit for update skip locked));
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform ${fn(schema, 'ring_v1')}(false);
  end if;
  return query select v_count,
    (select r.due_at - v_now from ${message} r where r.state = ${delayed} order by r.due_at limit 1);
end $$`;
}
