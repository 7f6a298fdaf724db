import { Elysia } from 'elysia';
import { OutageList, pageOf } from '#contract/lists.ts';
import { RecordedOutage } from '#contract/outage.ts';
import { paged } from '../http/paging.ts';
import type { Master } from '../master.ts';
import { pageOfOutages } from '../store/outages.ts';
import { adminArea } from './areas.ts';
import { operation } from './documentation.ts';

export function outageRoutes(master: Master) {
  return new Elysia()
    .use(adminArea(master))
    .get(
      '/v1/outages',
      (context) => paged(context, '-id', (asked) => pageOfOutages(master.store, context.query, asked)),
      {
        query: OutageList,
        response: { 200: pageOf(RecordedOutage) },
        detail: operation('listOutages', 'How devices changed from one node to another, and how long that took them', {
          tag: 'Nodes',
          bearer: 'userToken',
          traits: ['paged'],
        }),
      },
    );
}
