#pragma once

#include <memory>

#include "core/device/device.h"

namespace rankfold {

/// The CPU's arithmetic behind addresses that no process has: whoever dereferences the device's
/// memory, or gives it the host's for its own, faults or gets an Error. Memory starts as numbers
/// that are none. For tests of whatever runs on a device.
std::shared_ptr<const Device> make_test_device();

}  // namespace rankfold
