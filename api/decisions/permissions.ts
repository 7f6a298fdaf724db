import type { Permission, User, UserChange } from '#contract/admin.ts';

/** `own` is what only owners do: nodes, and who may do what on the API. */
export type Act = 'read' | 'operate' | 'own';

const acts: Record<Permission, readonly Act[]> = {
  owner: ['read', 'operate', 'own'],
  operator: ['read', 'operate'],
  auditor: ['read'],
  none: [],
};

export function may(permission: Permission, act: Act): boolean {
  return acts[permission].includes(act);
}

/** Making a user who has any permission on the API is giving that permission. */
export function actOfAdding(permission: Permission | undefined): Act {
  return permission === undefined || permission === 'none' ? 'operate' : 'own';
}

/** Who has a permission is changed, disabled or removed by owners alone: an operator cannot turn on an owner. */
export function actOfChanging(user: User, change?: UserChange): Act {
  return user.permission !== 'none' || (change?.permission ?? 'none') !== 'none' ? 'own' : 'operate';
}
