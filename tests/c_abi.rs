//! The C interface: the header, the installed library, and programs in C that use it.
//!
//! The library is installed by `include/install.sh` into a directory of its own, as a user would, and the programs are
//! compiled with what pkg-config says. Under `cargo test --release` it is the very library that users get.

#[path = "c_abi/handles.rs"]
mod handles;
#[macro_use]
mod support;

use interproc::process::Builder;
use interproc::queue::Queue;
use interproc::sync::{LockError, Mutex};
use interproc::{Object, Segment, TypeId};
use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::mem::transmute_copy;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: &[&str] = &[
    "error",
    "time",
    "who",
    "segment",
    "room",
    "sizes",
    "mutex",
    "recursive_mutex",
    "condvar",
    "semaphore",
    "event",
    "once",
    "rwlock",
    "bounded_semaphore",
    "barrier",
    "channel",
    "queue/handle",
    "queue/copied",
    "queue/batch",
    "queue/state",
    "spsc/handle",
    "spsc/producer",
    "spsc/consumer",
    "spsc/view",
    "byte_lane/handle",
    "byte_lane/producer",
    "byte_lane/consumer",
    "byte_lane/view",
    "queue/in_place",
    "latest",
    "byte_queue/handle",
    "byte_queue/copied",
    "byte_queue/in_place",
    "byte_queue/state",
    "work_queue",
    "broadcast",
    "process/handle",
    "process/child",
    "process/many",
    "process/close",
    "process_ref",
    "pipe/handle",
    "pipe/make",
    "pipe/copied",
    "pipe/descriptors",
    "pipe/in_place",
    "pipe/end",
    "pipe/child",
    "pipe/listener",
    "waitset/handle",
    "waitset/sources",
    "waitset/wait",
    "start",
];
const STRICT: [&str; 6] = ["-Wall", "-Wextra", "-Wundef", "-pedantic", "-Werror", "-g"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where this run of the tests puts things: below the target directory.
fn work() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("c_abi")
}

/// Runs a command to its end; its output, both streams, for the eyes.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// Whether there is such a program here.
fn found(command: &Command) -> bool {
    Command::new(command.get_program()).arg("--version").output().is_ok()
}

/// The library, installed below the target directory. The build is fresh but for the first test that asks.
struct Installed {
    prefix: PathBuf,
}

impl Installed {
    fn get() -> Installed {
        let prefix = work().join("installed");
        let profile = if cfg!(debug_assertions) { "dev" } else { "dist" };
        let mut install = Command::new(root().join("include/install.sh"));
        install.args(["--profile", profile, "--prefix"]).arg(&prefix);
        run(install.env("CARGO", env!("CARGO")));
        Installed { prefix }
    }

    fn lib(&self) -> PathBuf {
        self.prefix.join("lib")
    }

    fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut pkg_config = Command::new("pkg-config");
        pkg_config.env("PKG_CONFIG_PATH", self.lib().join("pkgconfig")).args(arguments).arg("interproc");
        let said = if found(&pkg_config) { run(&mut pkg_config) } else { self.pc_file(arguments) };
        said.split_whitespace().map(str::to_owned).collect()
    }

    /// What pkg-config would say, where there is none.
    fn pc_file(&self, arguments: &[&str]) -> String {
        let text = fs::read_to_string(self.lib().join("pkgconfig/interproc.pc")).expect("the .pc file");
        let value = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).expect("a key").to_owned();
        let mut said = String::new();
        for &argument in arguments {
            said += &match argument {
                "--cflags" => value("Cflags: "),
                "--libs" => value("Libs: "),
                _ => value("Libs.private: "),
            };
            said += " ";
        }
        let prefix = value("prefix=");
        let include = value("includedir=").replace("${prefix}", &prefix);
        said.replace("${libdir}", &value("libdir=")).replace("${includedir}", &include).replace('"', "")
    }

    /// Compiles a C program against the shared library.
    fn compile(&self, source: &str) -> Command {
        let out = self.out(source, "shared");
        let mut cc = self.cc(source, &out);
        run(cc.args(self.pkg_config(&["--libs"])).args(["-lpthread", "-lrt"]));
        let mut program = Command::new(out);
        program.env("LD_LIBRARY_PATH", self.lib());
        program
    }

    /// Compiles a C program with the static library in it.
    fn compile_static(&self, source: &str) -> Command {
        let out = self.out(source, "static");
        let libraries = self.pkg_config(&["--static", "--libs"]).into_iter().map(|l| match l.as_str() {
            "-linterproc" => "-l:libinterproc.a".to_owned(),
            _ => l,
        });
        run(self.cc(source, &out).args(libraries));
        Command::new(out)
    }

    /// Compiles a C++ program against the shared library; `None` where there is no C++ compiler.
    fn compile_cxx(&self, source: &str) -> Option<Command> {
        let out = self.out(source, "shared");
        let mut cxx = Command::new("c++");
        if !found(&cxx) {
            return None;
        }
        cxx.arg("-std=c++11").args(STRICT).args(self.pkg_config(&["--cflags"]));
        cxx.arg(root().join(source)).arg("-o").arg(&out);
        run(cxx.args(self.pkg_config(&["--libs"])).arg("-lpthread"));
        let mut program = Command::new(out);
        program.env("LD_LIBRARY_PATH", self.lib());
        Some(program)
    }

    fn out(&self, source: &str, how: &str) -> PathBuf {
        let stem = Path::new(source).file_stem().unwrap().to_str().unwrap();
        self.prefix.join(format!("{stem}-{how}"))
    }

    fn cc(&self, source: &str, out: &Path) -> Command {
        let mut cc = Command::new("cc");
        cc.arg("-std=c99").args(STRICT).args(self.pkg_config(&["--cflags"]));
        cc.arg(root().join(source)).arg("-o").arg(out);
        cc
    }
}

fn the_header_is_what_cbindgen_makes_of_the_source() {
    let config = cbindgen::Config::from_file(root().join("include/cbindgen.toml")).expect("cbindgen.toml");
    let builder = SOURCES.iter().fold(cbindgen::Builder::new().with_config(config), |builder, name| {
        builder.with_src(root().join(format!("src/ffi/{name}.rs")))
    });
    let mut made = Vec::new();
    builder.generate().expect("the source").write(&mut made);
    let (made, path) = (String::from_utf8(made).expect("text"), root().join("include/interproc.h"));
    if std::env::var_os("INTERPROC_BLESS").is_some() {
        fs::write(&path, &made).expect("the header can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let first = made.lines().zip(committed.lines()).position(|(a, b)| a != b);
    assert!(
        made == committed,
        "include/interproc.h is out of date, first at line {:?}: INTERPROC_BLESS=1 cargo test --test c_abi",
        first.map(|n| n + 1)
    );
}

fn every_exported_function_is_declared_and_nothing_else_is_exported() {
    let header = fs::read_to_string(root().join("include/interproc.h")).expect("the header");
    let library = Installed::get().lib().join("libinterproc.so");
    let symbols = run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library));
    // Of one version each, but for the version's own name.
    let names = symbols.lines().filter_map(|l| l.split(' ').next()).filter(|name| *name != "INTERPROC_0.1");
    let mut exported: Vec<&str> = names
        .map(|name| name.split_once("@@INTERPROC_0.1").unwrap_or_else(|| panic!("{name} has no version")).0)
        .collect();
    exported.sort_unstable();
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|l| !l.starts_with([' ', '#', '/']))
        .filter_map(|l| l[..l.find('(')?].rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("interproc_"))
        .collect();
    declared.sort_unstable();
    assert!(exported.len() > 50, "{exported:?}");
    assert_eq!(exported, declared);
}

fn the_header_is_clean_in_every_dialect_and_may_come_twice() {
    let (include, source) = (root().join("include"), work().join("twice.c"));
    fs::create_dir_all(work()).expect("a directory");
    fs::write(&source, "#include <interproc.h>\n#include <interproc.h>\nint main(void) { return 0; }\n")
        .expect("a file");
    let dialects = [
        ("cc", "c", "c99"),
        ("cc", "c", "c11"),
        ("cc", "c", "gnu17"),
        ("c++", "c++", "c++98"),
        ("c++", "c++", "c++11"),
        ("c++", "c++", "c++17"),
    ];
    for (compiler, language, standard) in dialects {
        let mut command = Command::new(compiler);
        if language == "c++" && !found(&command) {
            println!("no C++ compiler here: the header was not tried in {standard}");
            continue;
        }
        if standard == "c++98" {
            command.arg("-Wno-long-long");
        }
        command.args(STRICT).args(["-x", language, &format!("-std={standard}"), "-fsyntax-only"]);
        run(command.arg("-I").arg(&include).arg(&source));
    }
}

fn the_shared_library_has_a_soname_and_stays_loaded() {
    let library = Installed::get().lib().join("libinterproc.so");
    let dynamic = run(Command::new("readelf").arg("-dW").arg(library));
    assert!(dynamic.contains("[libinterproc.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

/// install.sh in a directory of its own, with nothing but these arguments.
fn install(from: &Path, arguments: &[&str], destdir: Option<&str>) -> std::process::Output {
    let mut install = Command::new(root().join("include/install.sh"));
    if let Some(destdir) = destdir {
        install.env("DESTDIR", destdir);
    }
    let profile = if cfg!(debug_assertions) { "dev" } else { "dist" };
    install.current_dir(from).env("CARGO", env!("CARGO")).arg(format!("--profile={profile}")).args(arguments);
    install.output().expect("install.sh")
}

/// By pkg-config, which puts a backslash before a space, and a shell that understands it.
fn a_program_is_compiled_against_what_lies_in(prefix: &Path) {
    if !found(&Command::new("pkg-config")) {
        return println!("no pkg-config here: the path with a space was not tried");
    }
    let out = prefix.join("types");
    let mut shell = Command::new("sh");
    shell.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).env("LD_LIBRARY_PATH", prefix.join("lib"));
    shell.args(["-ec", r#"eval cc '"$1"' -o '"$2"' "$(pkg-config --cflags --libs interproc)"; "$2""#, "sh"]);
    run(shell.arg(root().join("tests/c/types.c")).arg(out));
}

fn every_way_to_say_where_to_install_is_understood_or_refused_clearly() {
    let here = work().join("elsewhere");
    let _ = fs::remove_dir_all(&here);
    fs::create_dir_all(&here).expect("a directory");
    let here = here.canonicalize().expect("a path");
    let at = |path: &str| here.join(path).to_str().expect("UTF-8").to_owned();
    // Arguments, $DESTDIR, where it must be, and what the pkg-config file must say.
    let good: [(&[&str], Option<&str>, String, String); 5] = [
        (&["--prefix", "a b"], None, at("a b"), at("a b")),
        (&["--prefix=one", "--libdir=one/lib64"], None, at("one"), at("one")),
        (&[&format!("--prefix={}", at("two"))], None, at("two"), at("two")),
        (&["--prefix=/usr", "--destdir", "stage"], None, at("stage/usr"), "/usr".into()),
        (&["--prefix=/usr"], Some("other"), at("other/usr"), "/usr".into()),
    ];
    for (arguments, destdir, place, prefix) in good {
        let output = install(&here, arguments, destdir);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(Path::new(&place).join("include/interproc.h").exists(), "{arguments:?}: {said}");
        let lib =
            Path::new(&place).join(if arguments.len() == 2 && destdir.is_none() && place.ends_with("one") {
                "lib64"
            } else {
                "lib"
            });
        assert!(lib.join("libinterproc.so.0").exists(), "{arguments:?}: {said}");
        let pc = fs::read_to_string(lib.join("pkgconfig/interproc.pc")).expect("the .pc file");
        assert!(pc.contains(&format!("prefix={prefix}\n")), "{arguments:?}: {pc}");
    }
    a_program_is_compiled_against_what_lies_in(&here.join("a b"));
    for (arguments, complaint) in [
        (&["--prefix"] as &[&str], "--prefix needs a value"),
        (&["--prefix="], "--prefix needs a value"),
        (&["--prefix", "--libdir", "x"], "--prefix needs a value"),
        (&["--prefix=x", "--libdir"], "--libdir needs a value"),
        (&["--prefixes", "x"], "there is no option --prefixes"),
        (&["somewhere"], "there is no option somewhere"),
    ] {
        let output = install(&here, arguments, None);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(&format!("install.sh: {complaint}")), "{arguments:?}: {said}");
    }
}

fn a_program_may_be_linked_without_any_shared_library() {
    let installed = Installed::get();
    let out = installed.out("tests/c/types.c", "all-static");
    let mut cc = installed.cc("tests/c/types.c", &out);
    let said = run(cc.arg("-static").args(installed.pkg_config(&["--static", "--libs"])));
    assert_eq!(said, "", "the linker warns");
    let headers = run(Command::new("readelf").arg("-lW").arg(&out));
    assert!(!headers.contains("INTERP"), "{headers}");
    run(&mut Command::new(&out));
}

fn the_installed_libraries_carry_no_more_symbols_than_they_need() {
    let lib = Installed::get().lib();
    let sections = run(Command::new("readelf").arg("-SW").arg(lib.join("libinterproc.so")));
    assert!(!sections.contains(".symtab") && !sections.contains(".debug_"), "{sections}");
    let sections = run(Command::new("readelf").arg("-SW").arg(lib.join("libinterproc.a")));
    assert!(!sections.contains(".debug_"), "debug information in the static library");
}

fn every_function_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/conformance.c")));
}

fn types_sizes_and_first_values_keep_their_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/types.c")));
}

/// The functions that the header declares with a time until which they wait.
fn functions_with_a_deadline() -> Vec<String> {
    let header = fs::read_to_string(root().join("include/interproc.h")).expect("the header");
    let declarations = header.split("\nint ").skip(1).filter_map(|text| text.split_once(");"));
    let timed = declarations.filter(|(text, _)| text.contains("const struct timespec *abstime"));
    timed.map(|(text, _)| text[..text.find('(').expect("a function")].to_owned()).collect()
}

fn every_function_with_a_deadline_gives_one_answer_to_odd_times() {
    let source = fs::read_to_string(root().join("tests/c/deadlines.c")).expect("the test");
    let timed = functions_with_a_deadline();
    assert!(timed.len() > 40, "{timed:?}");
    for name in timed.iter().filter(|&name| name != "interproc_deadline_from") {
        assert!(source.contains(&format!("{name}(")), "tests/c/deadlines.c has no row for {name}");
    }
    print!("{}", run(&mut Installed::get().compile("tests/c/deadlines.c")));
}

fn the_condition_variable_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/condvar.c")));
}

fn every_function_keeps_its_promises_from_the_static_library() {
    print!("{}", run(&mut Installed::get().compile_static("tests/c/conformance.c")));
}

fn the_byte_queue_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/byte_queue.c")));
}

fn the_work_queue_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/work_queue.c")));
}

fn the_broadcast_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/broadcast.c")));
}

fn the_wait_set_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/waitset.c")));
}

fn permits_and_the_barrier_keep_their_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/permits.c")));
}

fn the_latest_value_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/latest.c")));
}

fn messages_in_place_keep_their_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/queue_in_place.c")));
}

fn pipes_keep_their_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/pipe.c")));
}

fn the_server_in_c_goes_on_when_a_client_is_killed() {
    let said = run(&mut Installed::get().compile("c_examples/pipe.c"));
    assert!(said.contains("clients: 3 finished, 1 killed; servers: 4 saw the end"), "{said}");
}

fn the_byte_lane_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/byte_lane.c")));
}

fn processes_keep_their_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/process.c")));
}

fn a_job_in_c_may_throw_and_be_cancelled() {
    match Installed::get().compile_cxx("tests/c/unwinding.cc") {
        Some(mut program) => print!("{}", run(&mut program)),
        None => println!("no C++ compiler here: exceptions were not tried"),
    }
}

/// With `INTERPROC_SURROUNDINGS=full` in full.
fn every_operation_in_c_keeps_its_promises_in_every_surrounding() {
    let mut program = Installed::get().compile("tests/c/surroundings.c");
    if std::env::var_os("INTERPROC_SURROUNDINGS").is_some_and(|how| how == "full") {
        program.arg("full");
    }
    print!("{}", run(&mut program));
}

fn the_interrupted_program_in_c_loses_nothing_between_two_slices() {
    let said = run(&mut Installed::get().compile("c_examples/slices.c"));
    for line in ["signalled: 1000 of 1000", "rounds: 100 of 100", "interrupted: barrier ECANCELED, lock free"]
    {
        assert!(said.contains(line), "{said}");
    }
}

fn the_crew_in_c_ends_as_it_should() {
    let said = run(&mut Installed::get().compile("c_examples/processes.c"));
    for line in [
        "worker 0: exit code 3",
        "worker 1: exit code -1, signal 9",
        "worker 2: exit code 7",
        "deaf one: signal 9",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

fn signals_and_recursion_keep_their_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/signals.c")));
}

fn one_producer_and_one_consumer_keep_their_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/spsc.c")));
}

fn the_reader_writer_lock_keeps_its_promises_in_c() {
    print!("{}", run(&mut Installed::get().compile("tests/c/rwlock.c")));
}

fn the_views_in_c_tell_who_holds_and_how_many_wait() {
    print!("{}", run(&mut Installed::get().compile("tests/c/views.c")));
}

fn the_ticket_shop_in_c_sells_every_ticket_once() {
    let said = run(&mut Installed::get().compile("c_examples/tickets.c"));
    assert!(said.contains("sold: 1000, left: 0") && said.contains("repaired: 1 times: right"), "{said}");
}

fn the_producers_and_consumers_in_c_count_every_number_once() {
    let said = run(&mut Installed::get().compile("c_examples/producer_consumer.c"));
    assert!(said.contains("pushed: 100000, popped: 100000") && said.contains("right"), "{said}");
}

fn the_restaurant_in_c_serves_everybody_and_gets_the_dead_guests_table_back() {
    let said = run(&mut Installed::get().compile("c_examples/restaurant.c"));
    assert!(
        said.contains("served: 250, tables free: 2;") && said.contains("cleared: 1 times: right"),
        "{said}"
    );
}

fn the_player_in_c_plays_every_sample_though_both_ends_are_killed() {
    let said = run(&mut Installed::get().compile("c_examples/spsc.c"));
    assert!(said.contains("recorded: 64000, played: 64000") && said.contains("right"), "{said}");
}

fn the_office_in_c_prints_every_report_once_and_reads_every_letter() {
    let said = run(&mut Installed::get().compile("c_examples/bytes.c"));
    for line in ["reports: 1000 written, each printed once", "right", "letters: 300 sent, 300 read"] {
        assert!(said.contains(line), "{said}");
    }
}

fn the_kitchen_in_c_cooks_every_order_though_a_cook_is_killed() {
    let said = run(&mut Installed::get().compile("c_examples/work_queue.c"));
    for line in ["order 77 failed 3 times: the oven is too hot", "200 orders cooked, 1 delivered again"] {
        assert!(said.contains(line), "{said}");
    }
}

fn the_exchange_in_c_tells_everybody_every_price() {
    let said = run(&mut Installed::get().compile("c_examples/broadcast.c"));
    for line in ["the books: 1000 prices, none missed", "one of the readers was killed"] {
        assert!(said.contains(line), "{said}");
    }
}

fn the_house_in_c_serves_all_that_comes_in_one_loop() {
    let said = run(&mut Installed::get().compile("c_examples/waitset.c"));
    for line in ["guests: 3 said goodbye, 1 was killed", "questions: 350 of 350 answered", "right"] {
        assert!(said.contains(line), "{said}");
    }
}

fn the_observer_in_c_sees_the_newest_and_readings_make_way() {
    let said = run(&mut Installed::get().compile("c_examples/latest.c"));
    for line in ["the newest is 10000", "96 made way, the newest 4 kept", "pictures: 50 of"] {
        assert!(said.contains(line), "{said}");
    }
}

/// A segment that a C process shares with this one. Its name goes at the end.
struct Mixed {
    name: String,
    seg: Segment,
    counter: Object<Mutex<u64>>,
    partner: Command,
}

impl Mixed {
    fn new() -> Mixed {
        let name = format!("/interproc-test-{}-mixed", std::process::id());
        let seg = Segment::create(&name, 1 << 16).expect("a segment");
        let counter = seg.object("counter", || Mutex::new(0u64)).expect("an object");
        let mut partner = Installed::get().compile("tests/c/partner.c");
        partner.arg(&name);
        Mixed { name, seg, counter, partner }
    }
}

impl Drop for Mixed {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.name);
    }
}

fn a_c_and_a_rust_process_count_under_one_lock() {
    const EACH: u64 = 20_000;
    let mut mixed = Mixed::new();
    let mut c = mixed.partner.args(["count", &EACH.to_string()]).spawn().expect("the partner");
    for _ in 0..EACH {
        *mixed.counter.lock().expect("nobody dies") += 1;
    }
    assert!(c.wait().expect("its end").success());
    assert_eq!(*mixed.counter.lock().expect("free"), 2 * EACH);
}

fn messages_go_from_rust_to_c_and_back_in_order() {
    let mut mixed = Mixed::new();
    // One whose type C names, and one of bytes.
    let there: Queue<u64> = mixed.seg.queue("there", 16).expect("a queue");
    let back: Queue<u64> = mixed.seg.queue_of_bytes("back", 16).expect("a queue");
    let mut c = mixed.partner.arg("echo").spawn().expect("the partner");
    for i in (0..5000).step_by(10) {
        there.push_batch(&[i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7, i + 8, i + 9]).expect("room");
        for k in i..i + 10 {
            assert_eq!(back.pop().expect("a message"), k + 1);
        }
    }
    there.close().expect("a member");
    assert!(c.wait().expect("its end").success());
}

fn rust_inherits_the_lock_from_a_dead_c_process() {
    let mut mixed = Mixed::new();
    let status = mixed.partner.arg("die").status().expect("the partner");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
    let Err(LockError::OwnerDied(mut died)) = mixed.counter.lock() else { panic!("not told of the death") };
    assert_eq!(*died, 999);
    *died = 0;
    drop(died.mark_consistent());
    assert_eq!(*mixed.counter.lock().expect("repaired"), 0);
}

fn c_inherits_the_lock_from_a_dead_rust_process() {
    let mut mixed = Mixed::new();
    let child = Builder::new().fork(|| {
        let guard = mixed.counter.lock().expect("free");
        // SAFETY: takes integers.
        unsafe { libc::raise(libc::SIGKILL) };
        drop(guard);
    });
    assert_eq!(child.expect("a child").join().expect("its end").signal(), Some(libc::SIGKILL));
    assert!(mixed.partner.arg("inherit").status().expect("the partner").success());
    assert_eq!(*mixed.counter.lock().expect("repaired"), 1000);
}

/// The functions of the header that the test of two copies uses, as they are found in a loaded library.
struct Copy {
    open: unsafe extern "C" fn(*mut [u64; 2], *const c_char) -> i32,
    find: unsafe extern "C" fn(*const [u64; 2], *const c_char, u64, usize, usize, *mut *mut u8) -> i32,
    trylock: unsafe extern "C" fn(*mut u8) -> i32,
    unlock: unsafe extern "C" fn(*mut u8) -> i32,
}

impl Copy {
    fn load(path: &Path) -> Copy {
        let path = CString::new(path.to_str().expect("UTF-8")).expect("a path");
        // SAFETY: the signatures are those of include/interproc.h, and a function pointer is as large as an object's.
        unsafe {
            let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            let find = |name: &CStr| {
                let found = libc::dlsym(library, name.as_ptr());
                assert!(!library.is_null() && !found.is_null(), "{name:?}");
                found
            };
            Copy {
                open: transmute_copy(&find(c"interproc_segment_open")),
                find: transmute_copy(&find(c"interproc_segment_find_as")),
                trylock: transmute_copy(&find(c"interproc_mutex_trylock")),
                unlock: transmute_copy(&find(c"interproc_mutex_unlock")),
            }
        }
    }
}

fn two_copies_of_the_library_in_one_process_exclude_each_other() {
    let mixed = Mixed::new();
    let copy = Copy::load(&Installed::get().lib().join("libinterproc.so"));
    let name = CString::new(&*mixed.name).expect("a name");
    let (mut handle, mut theirs) = ([0; 2], std::ptr::null_mut());
    // SAFETY: used as the header says; the segment stays open.
    unsafe {
        assert_eq!((copy.open)(&raw mut handle, name.as_ptr()), 0);
        let id = TypeId::of::<Mutex<u64>>().bits();
        assert_eq!((copy.find)(&raw const handle, c"counter".as_ptr(), id, 24, 8, &raw mut theirs), 0);
        let guard = mixed.counter.lock().expect("free");
        assert_eq!((copy.trylock)(theirs), libc::EBUSY);
        drop(guard);
        assert_eq!((copy.trylock)(theirs), 0);
        assert!(mixed.counter.try_lock().is_err());
        assert_eq!((copy.unlock)(theirs), 0);
        assert!(mixed.counter.try_lock().is_ok());
    }
    // A thread that both copies have linked into its robust list dies holding what one of them has locked.
    let theirs = theirs.expose_provenance();
    let (counter, trylock) = (mixed.counter.clone(), copy.trylock);
    let dies = move || {
        drop(counter.lock().expect("free"));
        // SAFETY: as above.
        unsafe { trylock(std::ptr::with_exposed_provenance_mut(theirs)) }
    };
    assert_eq!(std::thread::spawn(dies).join().expect("no panic"), 0);
    assert!(matches!(mixed.counter.lock(), Err(LockError::OwnerDied(_))));
}

fn main() {
    support::run_within(
        std::time::Duration::from_secs(300),
        tests![
            the_header_is_what_cbindgen_makes_of_the_source,
            the_header_is_clean_in_every_dialect_and_may_come_twice,
            every_exported_function_is_declared_and_nothing_else_is_exported,
            the_shared_library_has_a_soname_and_stays_loaded,
            every_way_to_say_where_to_install_is_understood_or_refused_clearly,
            a_program_may_be_linked_without_any_shared_library,
            the_installed_libraries_carry_no_more_symbols_than_they_need,
            the_byte_queue_keeps_its_promises_in_c,
            the_work_queue_keeps_its_promises_in_c,
            the_broadcast_keeps_its_promises_in_c,
            the_wait_set_keeps_its_promises_in_c,
            types_sizes_and_first_values_keep_their_promises_in_c,
            the_condition_variable_keeps_its_promises_in_c,
            every_function_with_a_deadline_gives_one_answer_to_odd_times,
            the_interrupted_program_in_c_loses_nothing_between_two_slices,
            every_function_keeps_its_promises_in_c,
            every_function_keeps_its_promises_from_the_static_library,
            handles::a_handle_that_is_closed_or_zero_is_refused_by_every_function_and_nothing_is_touched,
            permits_and_the_barrier_keep_their_promises_in_c,
            the_latest_value_keeps_its_promises_in_c,
            messages_in_place_keep_their_promises_in_c,
            pipes_keep_their_promises_in_c,
            the_byte_lane_keeps_its_promises_in_c,
            processes_keep_their_promises_in_c,
            a_job_in_c_may_throw_and_be_cancelled,
            every_operation_in_c_keeps_its_promises_in_every_surrounding,
            the_server_in_c_goes_on_when_a_client_is_killed,
            the_crew_in_c_ends_as_it_should,
            signals_and_recursion_keep_their_promises_in_c,
            the_reader_writer_lock_keeps_its_promises_in_c,
            the_views_in_c_tell_who_holds_and_how_many_wait,
            one_producer_and_one_consumer_keep_their_promises_in_c,
            the_restaurant_in_c_serves_everybody_and_gets_the_dead_guests_table_back,
            the_ticket_shop_in_c_sells_every_ticket_once,
            the_producers_and_consumers_in_c_count_every_number_once,
            the_player_in_c_plays_every_sample_though_both_ends_are_killed,
            the_office_in_c_prints_every_report_once_and_reads_every_letter,
            the_kitchen_in_c_cooks_every_order_though_a_cook_is_killed,
            the_exchange_in_c_tells_everybody_every_price,
            the_house_in_c_serves_all_that_comes_in_one_loop,
            the_observer_in_c_sees_the_newest_and_readings_make_way,
            a_c_and_a_rust_process_count_under_one_lock,
            messages_go_from_rust_to_c_and_back_in_order,
            rust_inherits_the_lock_from_a_dead_c_process,
            c_inherits_the_lock_from_a_dead_rust_process,
            two_copies_of_the_library_in_one_process_exclude_each_other,
        ],
    )
}
