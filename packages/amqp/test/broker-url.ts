/** The test server; undefined where there is none, and the set-up has said so. */
export const amqpUrl = process.env['TEST_AMQP_URL'];
