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
pub mod fence;
pub mod find;
pub mod follow;
pub mod issue;
pub mod list;
pub mod ready_keys;
pub mod refresh;
pub mod serve;
pub mod start;
pub mod validate;
