// What the documents' samples take for granted.
declare global {
  class Mailer {
    send(userId: number, options?: { signal: AbortSignal; key: string }): Promise<{ messageId: string }>;
  }
  class SmtpError extends Error {}
  class MailTasks {
    constructor(mailer: Mailer);
    sendWelcome(userId: number): Promise<{ messageId: string }>;
  }
  class Order {
    id: number;
    customerId: number;
    cents: number;
    cancelled: boolean;
  }
  const payments: {
    charge(order: Order, options: { signal: AbortSignal }): Promise<{ status: number; receipt: string }>;
  };
  class AppModule {}
}
export {};
