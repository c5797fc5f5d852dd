// What orlopd writes so that the next one can go on: records of containers, the applied host file, reserved start
// numbers.
//
// A file that is torn, foreign or newer is left where it is and named: see read_saved().
#pragma once

#include <map>
#include <string>

#include "base/error.hpp"
#include "supervisor/core/state.hpp"
#include "supervisor/directories.hpp"

namespace orlop::supervisor {

struct Saved {
  std::map<std::string, core::Record> records;  ///< this boot's where there is one, else the lasting one
  std::string host_file;                        ///< the last applied host.toml, whole; empty: none was
  std::string host_file_name;                   ///< as its operator called it
  core::Start reserved = 0;
};

/// Reads all of it. corrupt/… or unsupported/… names the file that cannot be read; nothing was changed.
Result<Saved> read_saved(const Directories& directories);

/// Writes one record for the orlopd that comes next.
Result<void> save_record(const Directories& directories, const std::string& name, const std::string& json);
/// Writes one record for the next boot too. Waits for the disk: for the writer thread.
Result<void> save_record_durably(const Directories& directories, const std::string& name, const std::string& json);
/// Removes the record for the orlopd that comes next.
Result<void> forget_record(const Directories& directories, const std::string& name);
/// Removes the one for the next boot. For the writer thread, which then keeps its order with save_record_durably().
Result<void> forget_lasting_record(const Directories& directories, const std::string& name);
/// Keeps the applied file and what its operator called it. Waits for the disk.
Result<void> save_host_file(const Directories& directories, const std::string& file_name, const std::string& text);
/// Notes that start numbers up to `up_to` may be in use. Waits for the disk.
Result<void> save_reserved(const Directories& directories, core::Start up_to);

}  // namespace orlop::supervisor
