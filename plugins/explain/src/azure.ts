/** Microsoft Azure and Entra ID, as far as people meet them on the way in. Sources: "Troubleshoot Azure RBAC", "Microsoft Entra error codes". */
import type {Explainer} from '@prod/sdk/explainer'

const action =
  'the client {principal} with object id {id} does not have {authorization|permission} to perform action {action} over scope {resource}'

export const azure: Explainer = {
  id: 'azure',
  rules: [
    {
      category: 'action_not_allowed',
      confidence: 0.94,
      match: [
        `${action} or the scope is invalid`,
        action,
        'does not have {authorization|permission} to perform action {action} over scope {resource}',
        'does not have {authorization|permission} to perform action {action}',
        'does not have authorization to perform action',
        'authorizationfailed',
        'authorizationpermissionmismatch',
        'caller is not authorized to perform action on resource',
        'does not have {few:few}permission on key vault',
      ],
      near: ['azure', 'microsoft.', 'object id', 'over scope', 'authorizationfailed', 'key vault', 'authorizationpermissionmismatch'],
      unless: ['amazonaws', 'arn:aws'],
      says: 'no Azure role assignment lets {who} do {what}{on}: the role lacks the action, or is assigned on another scope',
    },
    {
      category: 'mfa_required',
      confidence: 0.95,
      match: [
        'aadsts50076',
        'aadsts50079',
        'aadsts50074',
        'aadsts50072',
        'aadsts50158',
        'you must use multi-factor authentication to access',
      ],
    },
    {
      category: 'credentials_expired',
      confidence: 0.95,
      match: [
        'aadsts700082',
        'aadsts700081',
        'aadsts70008',
        'aadsts70043',
        'aadsts50173',
        'aadsts50132',
        'aadsts50133',
        'aadsts50078',
        'aadsts7000222',
        'aadsts500133',
        'aadsts700024',
      ],
    },
    {
      category: 'credentials_invalid',
      confidence: 0.94,
      match: ['aadsts{code}', 'interaction required', 'interaction_required'],
      near: ['aadsts'],
    },
    {
      category: 'credentials_missing',
      confidence: 0.93,
      match: [
        "please run 'az login'",
        'please run "az login"',
        'please run `az login`',
        "run 'az login' to setup account",
        'defaultazurecredential failed to retrieve a token',
        'no subscription found. run',
        'unable to build authorizer for resource manager api',
      ],
      unless: ['aadsts'],
    },
  ],
}
