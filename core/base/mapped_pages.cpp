#include "core/base/mapped_pages.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>

namespace rankfold {
namespace {

/// A signal handler can reach nothing but globals, and allocate nothing.
struct Slot {
  std::atomic<bool> taken = false;
  std::atomic<std::uintptr_t> begin = 0;
  std::size_t size = 0;
  std::array<char, 512> name = {};
};
std::array<Slot, 1024> slots;

void write_text(const char* text) {
  static_cast<void>(::write(STDERR_FILENO, text, std::strlen(text)) > 0);
}

void end_for_lost_pages(int number, siginfo_t* information, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(information->si_addr);
  for (const Slot& slot : slots) {
    const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address - begin >= slot.size) continue;
    write_text("rankfold: ");
    write_text(slot.name.data());
    write_text(": became shorter, or cannot be read any more, while it was in use\n");
    ::_exit(1);
  }
  // Of something else: the instruction runs again and meets the default.
  ::signal(number, SIG_DFL);
}

}  // namespace

void report_lost_pages() {
  struct sigaction action {};
  action.sa_sigaction = end_for_lost_pages;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

MappedPages::MappedPages(const void* begin, std::size_t size, const std::string& name) {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].taken.exchange(true)) continue;
    slots[i].size = size;
    const std::size_t length = std::min(name.size(), slots[i].name.size() - 1);
    std::copy_n(name.data() + name.size() - length, length, slots[i].name.data());
    slots[i].name[length] = '\0';
    slots[i].begin.store(reinterpret_cast<std::uintptr_t>(begin), std::memory_order_release);
    slot_ = static_cast<int>(i);
    return;
  }
}

MappedPages::~MappedPages() {
  if (slot_ < 0) return;
  slots[static_cast<std::size_t>(slot_)].begin.store(0);
  slots[static_cast<std::size_t>(slot_)].taken.store(false);
}

MappedPages::MappedPages(MappedPages&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}

MappedPages& MappedPages::operator=(MappedPages&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

}  // namespace rankfold
