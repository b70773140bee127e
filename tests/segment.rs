//! Segments as a user meets them: names, files, errors, races, and files that somebody wrote over.
#![cfg(not(interproc_loom))]

#[path = "segment/files.rs"]
mod files;
#[path = "segment/hostile.rs"]
mod hostile;
#[path = "segment/objects.rs"]
mod objects;
#[path = "segment/privileged.rs"]
mod privileged;
#[path = "segment/races.rs"]
mod races;
#[path = "segment/support.rs"]
mod support;

/// What a re-executed copy of this program does instead of testing. Never forked: the harness has threads.
#[test]
fn child_role() {
    let Ok(role) = std::env::var(support::ROLE) else { return };
    let arg = std::env::var(support::ARGUMENT).unwrap_or_default();
    match role.as_str() {
        "create-with-mode" => files::child_create_with_mode(&arg),
        "hold" => files::child_hold(&arg),
        "race-open-or-create" => races::child_open_or_create(&arg),
        "create-many" => races::child_create_many(&arg),
        "remake" => races::child_remake(&arg),
        "make-objects" => races::child_make_objects(&arg),
        "make-objects-for-ever" => races::child_make_objects_for_ever(&arg),
        "as-nobody" => privileged::child_as_nobody(&arg),
        "own-mounts" => privileged::child_own_mounts(&arg),
        other => panic!("no such role: {other}"),
    }
    // Not by return: the parent shall see no harness text as success.
    std::process::exit(support::DONE);
}
