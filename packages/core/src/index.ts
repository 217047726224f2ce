// What any part may use, and tests replace
export { systemClock } from './ambient/clock.js';
export type { Clock, ClockTimer } from './ambient/clock.js';
export { silentLogger } from './ambient/logger.js';
export type { Logger } from './ambient/logger.js';
export { stopSignals } from './ambient/stop-signals.js';
export { VERSION } from './ambient/version.js';
export { newTaskId, occurrenceTaskId } from './ambient/ids.js';
// For drivers: waiting without polling, sending in few calls
export { Coalescer } from './async/coalescer.js';
export type { CoalescerOptions } from './async/coalescer.js';
export { deferred } from './async/deferred.js';
export type { Deferred } from './async/deferred.js';
export { repeat } from './async/repeat.js';
export type { Repeat, RepeatOptions } from './async/repeat.js';
export { unlessAborted } from './async/unless-aborted.js';
export { WakeUp } from './async/wake-up.js';
// Errors
export { ERROR_CODES } from './errors/error-codes.js';
export type { ErrorCode } from './errors/error-codes.js';
export {
  BrokerError,
  ConfigurationError,
  isTaskQueueError,
  MessageError,
  ResultError,
  showValue,
  TaskError,
  TaskQueueError,
  UsageError,
} from './errors/errors.js';
export { didYouMean } from './errors/nearest-word.js';
export { consumerClosed } from './errors/consumer-closed.js';
export type { ConfigurationProblem, FailureRecord, TaskQueueErrorInit } from './errors/errors.js';
// Settings
export { checkQueueName } from './config/queue-name.js';
export { parseByteSize } from './config/byte-size.js';
export type { ByteSize } from './config/byte-size.js';
export { parseDuration, toMilliseconds } from './config/duration.js';
export type { Duration } from './config/duration.js';
export { redactUrl } from './config/connection-url.js';
export { environmentName, settingPaths, settingsFromEnvironment, unknownVariables } from './config/environment.js';
export type { AutoscaleInit, AutoscaleRange } from './config/autoscale.js';
export { DEFAULT_SETTINGS } from './config/settings.js';
export type {
  BeatSettings,
  ClientSettings,
  PoolName,
  ProbeSettings,
  TaskQueueSettings,
  TaskQueueSettingsInit,
  WorkerSettings,
} from './config/settings.js';
export { validateSettings } from './config/validate-settings.js';
// Tasks
export { bindArguments } from './task/bind-arguments.js';
export type { CallArguments } from './task/bind-arguments.js';
export { defineTask } from './task/task-definition.js';
export type { SchemaAdapter, TaskDefinition, TaskSurroundings } from './task/task-definition.js';
export { plainHandler, TaskRegistry } from './task/task-registry.js';
export type { RegisteredTask, TaskHandler, TaskInvocation } from './task/task-registry.js';
export type { Rate, RateLimit, RateLimitInit, RateScope } from './task/rate-limit.js';
export type { TaskOptions, TaskSchema } from './task/task-options.js';
export { MAX_PRIORITY } from './task/task-options.js';
export type { TaskContext, TaskLogger } from './task/task-context.js';
export { Ignore, isTaskSignal, Reject, Retry, Snooze, TaskSignal } from './task/task-signals.js';
export type { RetryOptions } from './task/task-signals.js';
export type { ErrorMatcher, RetryOptionsInit, RetryPolicy } from './task/retry-policy.js';
export { isTerminal, mayReplace, stateRank, TASK_STATES } from './task/task-state.js';
export type { StateStamp, TaskState } from './task/task-state.js';
export { revokedRecord } from './task/revoked-record.js';
export type { RevokedReason } from './task/revoked-record.js';
// Messages
export type { EncodedMessage, MessageBody, MessageProperties } from './message/encoded-message.js';
export { bodyBytes, bodySize } from './message/encoded-message.js';
export type { TaskMessage, WireSignature } from './message/task-message.js';
export type { CeleryDialect } from './message/celery-protocol.js';
export { celeryException, failureFromCelery } from './message/celery-exception.js';
export type { CeleryException } from './message/celery-exception.js';
export { celeryResult, readResult, resultWrite } from './message/celery-result.js';
export type { ResultWrite } from './message/celery-result.js';
export { decodeValue, encodeValue } from './message/encoded-value.js';
export { jsonSerializer } from './message/json-serializer.js';
export { msgpackSerializer, yamlSerializer } from './message/foreign-serializers.js';
export type { MsgpackCodec, YamlCodec } from './message/foreign-serializers.js';
export { SerializerRegistry } from './message/serializer.js';
export type { Serializer } from './message/serializer.js';
export { serializerFrom, serializersFrom } from './message/wire-format.js';
export { pythonRepr } from './message/python-repr.js';
// Ports
export type { Arrival, ArrivalAnswer, Barrier, BarrierStore } from './ports/barrier-store.js';
export type { ChordAnswer, ChordMember, ChordOpening, ChordStore } from './ports/chord-store.js';
export type {
  Broker,
  BrokerCapabilities,
  Consumer,
  KeepAlive,
  KeepAliveLoop,
  OutgoingMessage,
  PublishOptions,
  PublishOutcome,
  QueueDeclaration,
  ReceiveRequest,
  RecoverReport,
  Subscription,
} from './ports/broker.js';
export { hears } from './ports/channel.js';
export type { Channel, Publication } from './ports/channel.js';
export { ChannelListeners } from './ports/channel-listeners.js';
export type { Delivery, ExtendOutcome, SettlementEffects, SettleOutcome, Settlement } from './ports/delivery.js';
export type { Driver, DriverContext, DriverMigrations } from './ports/driver.js';
export type { LockAnswer, LockHolder, LockPermit, LockRenewal, LockRequest, LockStore } from './ports/lock-store.js';
export type { ChannelListener, ChannelSubscription, PubSub } from './ports/pub-sub.js';
export type {
  DeadLetter,
  MessageStatus,
  QueuedMessage,
  QueueFact,
  QueueFacts,
  QueueInspector,
} from './ports/queue-inspector.js';
export type { EncodedValue, ResultBackend, ResultPage, ResultQuery, ResultRecord } from './ports/result-backend.js';
export type { Revocation, RevocationRequest, RevocationStore } from './ports/revocations.js';
export type {
  OccurrenceClaim,
  ScheduleStep,
  ScheduleStore,
  ScheduleStoreCapabilities,
  StoredEntry,
} from './ports/schedule-store.js';
export { checkListLimit, comparePlaces, parsePlace, placeCursor, unknownCursor } from './ports/list-query.js';
export type { ListPlace } from './ports/list-query.js';
export { cannotBeSent } from './message/cannot-be-sent.js';
export type { CeleryTls } from './config/celery-tls.js';
export { celeryTls } from './config/celery-tls.js';
export { PREVIOUS_ATTEMPT } from './ports/tracing.js';
export type { Tracing } from './ports/tracing.js';
export { composeStores } from './ports/stores.js';
export type { DriverChoice, Stores } from './ports/stores.js';
export { memoryDriver } from './memory/memory-driver.js';
export type { MemoryDriverOptions } from './memory/memory-driver.js';
// Schedules
export { SOLAR_EVENTS } from './schedule/schedule.js';
export type {
  ClockedSpec,
  CrontabSpec,
  IntervalSpec,
  Schedule,
  ScheduleSpec,
  SolarEvent,
  SolarSpec,
} from './schedule/schedule.js';
export { SCHEDULE_ENTRY_DEFAULTS } from './schedule/schedule-entry.js';
export type { MisfirePolicy, OverlapPolicy, ScheduleEntry } from './schedule/schedule-entry.js';
export { declareEntry } from './schedule/declare-entry.js';
export type { ScheduleEntryInit, ScheduleInit } from './schedule/declare-entry.js';
export { isEdited, mergeDeclared } from './schedule/declared-merge.js';
export { nextRuns, scheduleFingerprint, scheduleFrom, validateScheduleSpec } from './schedule/schedule-factory.js';
export { parseCrontabText } from './schedule/crontab-parser.js';
// Calling
export { Signature } from './canvas/signature.js';
export type { SignatureOptions } from './canvas/signature.js';
export type { ApplyOptions, PublishRetry } from './client/task-call.js';
export { TaskClient } from './client/task-client.js';
export type { TaskClass, TaskClassReader, TaskClientOptions } from './client/task-client.js';
export { TaskHandle, taskError } from './client/task-handle.js';
export type { CallerArguments, TaskCaller, TaskMethods } from './client/task-methods.js';
export { TaskSender } from './client/task-sender.js';
export type { SendRequest, TaskSenderOptions } from './client/task-sender.js';
// Running
export { Worker } from './worker/worker.js';
export type { WorkerOptions } from './worker/worker.js';
export type { WorkerState, WorkerStatus } from './worker/worker-status.js';
export type { TaskFacts, WorkerEvent, WorkerListener } from './worker/worker-events.js';
export type { Execution, ExecutionControl, ExecutionPool } from './ports/execution-pool.js';
export type { Outcome } from './task/task-outcome.js';
export type { Judgement } from './task/judgement.js';
export type { ChildProgram } from './pools/child.js';
export { takeChildPort } from './pools/child-port.js';
export type { ChildPort } from './pools/child-port.js';
export { makePool } from './pools/make-pool.js';
export type { PoolInit } from './pools/make-pool.js';
export { bootProblem, PoolHost } from './pools/pool-host.js';
export type { PoolHostOptions } from './pools/pool-host.js';
export { LocalRunner } from './pools/local-runner.js';
export type { LocalRunnerOptions } from './pools/local-runner.js';
export { Beat } from './beat/beat.js';
export type { BeatEvent, BeatOptions, BeatStatus } from './beat/beat.js';
// Events
export type {
  ClusterEvent,
  ClusterEventOf,
  ClusterEventPayloads,
  ClusterEventType,
  EventOrigin,
  ExceptionText,
  OtherEvent,
  SentTo,
  TaskDescription,
  TaskReference,
  WorkerFacts,
} from './events/cluster-event.js';
export { isClusterEventType } from './events/event-fields.js';
export { EventDispatcher } from './events/event-dispatcher.js';
export type { EventDispatcherOptions } from './events/event-dispatcher.js';
export { EventReceiver } from './events/event-receiver.js';
export type { EventReceiverOptions, ReceiveOptions } from './events/event-receiver.js';
export { PublishEvents } from './events/publish-events.js';
export type { OutgoingTask, PublishEvent, PublishListener } from './events/publish-events.js';
export { sentEvents } from './events/sent-events.js';
export { LogicalClock } from './message/logical-clock.js';
export type { Stamps, StampValue } from './control/stamp-revocation.js';
export { ControlBus } from './control/control-bus.js';
export type { CallOptions, CommandTarget, ControlBusOptions } from './control/control-bus.js';
