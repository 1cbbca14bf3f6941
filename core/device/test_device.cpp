#include "core/device/test_device.h"

#include <cstring>

#include "core/device/forwarding_device.h"

namespace rankfold {
namespace {

/// Beyond what user addresses reach: on x86-64 no canonical address, or one that no system maps; on
/// ARM within the bits that are translated.
constexpr std::uintptr_t beyond_memory = std::uintptr_t{1} << 54;

class TestDevice final : public ForwardingDevice {
 public:
  TestDevice() : ForwardingDevice(make_cpu_device(), beyond_memory) {}

  std::string description() const override { return "the test device"; }
  bool reaches_host() const override { return false; }
  void* allocate(std::size_t bytes) const override {
    void* memory = inner().allocate(bytes);
    std::memset(memory, 0xff, bytes);
    return ours(memory);
  }
};

}  // namespace

std::shared_ptr<const Device> make_test_device() {
  return std::make_shared<TestDevice>();
}

}  // namespace rankfold
