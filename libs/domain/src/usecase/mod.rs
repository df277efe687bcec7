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
//! | `expire` | end what is overdue |
//! | `validate` | is this session still good? |
//! | `inspect` | the same for services that ask over HTTP, and what is known of it |
//! | `extend`, `update` | let a session last longer, change what is remembered of it |
//! | `step_up` | new credentials for a user who has proven more |
//! | `touch` | remember that sessions are used |
//! | `caller` | who asks, and what they may do |
//! | `ready_keys` | have a signing key that every validator knows |
//! | `add_service_key` | make a service known |
//! | `follow` | keep a process's revocation state and lease |
//! | `fence` | wait until every follower knows |
//! | `serve` | answer followers from the truth |

pub mod add_service_key;
pub mod caller;
pub mod end;
pub mod end_others;
pub mod expire;
pub mod extend;
pub mod fence;
pub mod find;
pub mod follow;
pub mod inspect;
pub mod issue;
pub mod list;
pub mod ready_keys;
pub mod refresh;
pub mod serve;
pub mod start;
pub mod step_up;
pub mod touch;
pub mod update;
pub mod validate;
