#pragma once

namespace rankfold {

/// From now on memory that a fit gives back serves the next one, instead of going back to the
/// system page by page: fits take and give large pieces all the time. A setting of the process.
void keep_freed_memory();

}  // namespace rankfold
