import { Counter, Histogram, type Registry } from 'prom-client';
import type { ProblemCode } from '#contract/problem.ts';

/** What figures know of an answered request. */
export type Answered = {
  method: string;
  /** The pattern of the path; undefined for one that nobody serves. */
  route: string | undefined;
  status: number;
  problem: ProblemCode | undefined;
  seconds: number;
};

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const enrolmentSteps: Readonly<Record<string, string>> = {
  'POST /v1/enrolments': 'redeem',
  'PUT /v1/enrolments/:id': 'confirm',
};

/** Counts requests. No label has a value that a sender can choose, so that nobody fills the memory of whoever scrapes. */
export function requestFamilies(registry: Registry): (answered: Answered) => void {
  const registers = [registry];
  const requests = new Counter({
    name: 'postern_http_requests_total',
    help: 'Requests that were answered, by the pattern of their path and the class of the status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'postern_http_request_duration_seconds',
    help: 'How long answers took, the wait for the disk and for nodes included.',
    labelNames: ['method', 'route'],
    buckets: seconds,
    registers,
  });
  const problems = new Counter({
    name: 'postern_http_problems_total',
    help: 'Refusals and failures by their code; too-many-requests counts what the limits turned away.',
    labelNames: ['code'],
    registers,
  });
  const enrolments = new Counter({
    name: 'postern_enrolments_total',
    help: 'Answers to devices that redeem a code or confirm their address, by outcome: ok, or the code of the refusal.',
    labelNames: ['step', 'outcome'],
    registers,
  });

  return ({ method, route, status, problem, seconds: duration }) => {
    const labels = { method: methods.has(method) ? method : 'other', route: route ?? 'unknown' };
    requests.inc({ ...labels, status: `${Math.floor(status / 100)}xx` });
    durations.observe(labels, duration);
    if (problem !== undefined) problems.inc({ code: problem });
    const step = enrolmentSteps[`${method} ${route}`];
    if (step !== undefined) enrolments.inc({ step, outcome: problem ?? 'ok' });
  };
}
