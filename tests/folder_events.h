#pragma once

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>

namespace rankfold {

/// What happens to the files below a folder, for tests that wait for another process.
class FolderEvents {
 public:
  explicit FolderEvents(std::filesystem::path folder)
      : folder_(std::move(folder)), events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}
  ~FolderEvents() { ::close(events_); }
  FolderEvents(const FolderEvents&) = delete;
  FolderEvents& operator=(const FolderEvents&) = delete;

  /// Whether the condition holds within a minute: asked now, and again whenever a file below the
  /// folder changes.
  template <class Condition>
  bool bring(const Condition& condition) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point last = Clock::now() + std::chrono::minutes(1);
    while (true) {
      watch();  // first: what changes while the condition is asked is an event, too
      if (condition()) return true;
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(last - Clock::now()).count();
      pollfd waiting{events_, POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return condition();
      std::array<char, 4096> read;
      while (::read(events_, read.data(), read.size()) > 0) {
      }
    }
  }

 private:
  /// The folder and all folders in it; one that is watched already stays so.
  void watch() {
    constexpr std::uint32_t kinds =
        IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE;
    ::inotify_add_watch(events_, folder_.c_str(), kinds);
    std::error_code failure;
    std::filesystem::recursive_directory_iterator entry(folder_, failure), end;
    for (; !failure && entry != end; entry.increment(failure)) {
      std::error_code gone;
      if (entry->is_directory(gone)) ::inotify_add_watch(events_, entry->path().c_str(), kinds);
    }
  }

  std::filesystem::path folder_;
  int events_;
};

}  // namespace rankfold
