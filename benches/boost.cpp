// Boost.Interprocess's message_queue, for the figures: one stream of messages between two processes, blocking.
//
//   boost BYTES COUNT
//
// A producer on processor 0 and a consumer on processor 1, started together; each message carries its number at both ends
// and is checked. Prints the nanoseconds from the first one's begin to the last one's end, per message. As `sides` in Rust.

#include <boost/interprocess/ipc/message_queue.hpp>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace ipc = boost::interprocess;

// As many as ours holds.
const std::size_t CAPACITY = 1024;

struct Stage {
    std::atomic<unsigned> ready;
    std::atomic<std::uint64_t> from[2], to[2];
};

static std::uint64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::uint64_t(t.tv_sec) * 1000000000 + std::uint64_t(t.tv_nsec);
}

static void pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        std::perror("sched_setaffinity");
        _exit(1);
    }
}

static void send(ipc::message_queue &queue, std::vector<char> &message, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; i++) {
        std::memcpy(message.data(), &i, sizeof i);
        std::memcpy(message.data() + message.size() - sizeof i, &i, sizeof i);
        queue.send(message.data(), message.size(), 0);
    }
}

static void receive(ipc::message_queue &queue, std::vector<char> &message, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; i++) {
        ipc::message_queue::size_type got = 0;
        unsigned priority = 0;
        queue.receive(message.data(), message.size(), got, priority);
        std::uint64_t first, last;
        std::memcpy(&first, message.data(), sizeof first);
        std::memcpy(&last, message.data() + message.size() - sizeof last, sizeof last);
        if (got != message.size() || first != i || last != i) {
            std::fprintf(stderr, "message %llu is not it\n", static_cast<unsigned long long>(i));
            _exit(1);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        std::fputs("boost BYTES COUNT\n", stderr);
        return 2;
    }
    const std::size_t bytes = std::strtoull(argv[1], nullptr, 10);
    const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
    const std::string name = "interproc-bench-boost-" + std::to_string(getpid());
    ipc::message_queue queue(ipc::create_only, name.c_str(), CAPACITY, bytes, ipc::permissions(0600));
    // The children inherit the mapping: nothing is left behind whatever happens to us.
    ipc::message_queue::remove(name.c_str());

    void *page = mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        std::perror("mmap");
        return 1;
    }
    Stage *stage = new (page) Stage();
    for (int side = 0; side < 2; side++) {
        const pid_t child = fork();
        if (child < 0) {
            std::perror("fork");
            return 1;
        }
        if (child == 0) {
            alarm(60);
            pin(side);
            std::vector<char> message(bytes, 'x');
            stage->ready.fetch_add(1);
            while (stage->ready.load() < 2) {
                sched_yield();
            }
            stage->from[side] = now();
            (side == 0 ? send : receive)(queue, message, count);
            stage->to[side] = now();
            _exit(0);
        }
    }
    for (int side = 0; side < 2; side++) {
        int status = 0;
        if (wait(&status) < 0 || status != 0) {
            std::fprintf(stderr, "a side ended with status %d\n", status);
            return 1;
        }
    }
    const std::uint64_t from = std::min(stage->from[0].load(), stage->from[1].load());
    const std::uint64_t to = std::max(stage->to[0].load(), stage->to[1].load());
    std::printf("%.3f\n", double(to - from) / double(count));
}
