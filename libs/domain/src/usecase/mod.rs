//! What users of the product do, one file each, named as they say it. Each is a free function
//! whose parameters list what it touches.
//!
//! | file | what |
//! |---|---|
//! | `start` | start a session after a login |
//! | `issue` | derive a session's credentials |
//! | `refresh` | trade a refresh token for the next credentials |
//! | `find`, `list` | look at sessions |
//! | `end`, `end_others` | end one, end all but one |
//! | `end_matching`, `preview_matching` | end all that a filter means, see what that would be |
//! | `expire`, `cleanup` | end what is overdue: a batch, all of it |
//! | `list_devices`, `change_device`, `forget_device` | a user's devices |
//! | `validate` | is this session still good? |
//! | `inspect` | the same for services that ask over HTTP, and what is known of it |
//! | `extend`, `update` | let a session last longer, change what is remembered of it |
//! | `step_up` | new credentials for a user who has proven more |
//! | `touch` | remember that sessions are used |
//! | `relay` | tell other systems what happened |
//! | `purge` | forget what was kept for long enough |
//! | `caller` | who asks, and what they may do |
//! | `ready_keys` | have a signing key that every validator knows |
//! | `keep_keys` | sign with the newest key, whichever process made it |
//! | `rotate_key`, `retire_key` | change the signing key, withdraw one |
//! | `add_service_key` | make a service known |
//! | `issue_service_key`, `revoke_service_key` | hand a service a key, withdraw one |
//! | `follow` | keep a process's revocation state and lease |
//! | `fence` | wait until every follower knows |
//! | `serve` | answer followers from the truth |

pub mod add_service_key;
pub mod caller;
pub mod change_device;
pub mod cleanup;
pub mod end;
pub mod end_matching;
pub mod end_others;
pub mod expire;
pub mod extend;
pub mod fence;
pub mod find;
pub mod follow;
pub mod forget_device;
pub mod inspect;
pub mod issue;
pub mod issue_service_key;
pub mod keep_keys;
pub mod list;
pub mod list_devices;
pub mod preview_matching;
pub mod purge;
pub mod ready_keys;
pub mod refresh;
pub mod relay;
pub mod retire_key;
pub mod revoke_service_key;
pub mod rotate_key;
pub mod serve;
pub mod start;
pub mod step_up;
pub mod touch;
pub mod update;
pub mod validate;
