// The bus interface of orlop in one place: paths, names, signatures and the role that each method needs. The server
// builds its vtables from these tables and the client its calls, so the two cannot disagree; docs/control-api.md is
// held against the tables by a test.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop::control {

inline constexpr const char* supervisor_path = "/org/orlop";
inline constexpr const char* supervisor_interface = "org.orlop.Supervisor1";
/// Containers live at `/org/orlop/container/ENCODED`, their name encoded by sd_bus_path_encode(3).
inline constexpr const char* containers_path = "/org/orlop/container";
inline constexpr const char* container_interface = "org.orlop.Container1";

/// What a peer may do. Every role includes the ones before it.
enum class Role : std::uint8_t {
  reader,  ///< member of the readers' group: sees everything, changes nothing
  admin,   ///< the instance's owner, uid 0
};
std::string_view to_string(Role role);

/// One method of an interface.
struct Method {
  const char* interface;
  const char* name;
  const char* arguments;  ///< D-Bus signature
  const char* results;    ///< D-Bus signature
  const char* names;      ///< of the arguments, then of the results, each ended by NUL, as sd-bus wants them
  Role role;              ///< the least role that may call it
};

/// One property of an interface. None can be written; every role reads them.
struct Property {
  const char* name;
  const char* signature;
  bool changes;  ///< false: constant for as long as the object lives; true: PropertiesChanged tells the new value
};

namespace method {
// org.orlop.Supervisor1. What is named "json" is one JSON document.

/// Options: `dry_run` b. `file` is a regular file, read from offset 0; `file_name` is for messages only.
inline constexpr Method apply{supervisor_interface, "Apply", "hsa{sv}", "s", "file\0file_name\0options\0json\0",
                              Role::admin};
/// `kind` is "layout" (`source` is a directory) or "archive" (a regular file). Options: `name` s, `reference` s,
/// `mkdir` as, `progress` h: the write end of a pipe that gets lines of text.
inline constexpr Method import_image{
    supervisor_interface, "ImportImage", "hsa{sv}", "s", "source\0kind\0options\0json\0", Role::admin};
inline constexpr Method list_images{supervisor_interface, "ListImages", "", "s", "json\0", Role::reader};
inline constexpr Method inspect_image{supervisor_interface, "InspectImage", "s", "s", "image\0json\0", Role::reader};
inline constexpr Method remove_image{supervisor_interface, "RemoveImage", "s", "", "image\0", Role::admin};
inline constexpr Method list_volumes{supervisor_interface, "ListVolumes", "", "s", "json\0", Role::reader};
inline constexpr Method inspect_volume{supervisor_interface, "InspectVolume", "s", "s", "volume\0json\0", Role::reader};
inline constexpr Method remove_volume{supervisor_interface, "RemoveVolume", "s", "", "volume\0", Role::admin};
inline constexpr Method status{supervisor_interface, "Status", "", "s", "json\0", Role::reader};
/// The applied host file with every default written out, as TOML.
inline constexpr Method effective{supervisor_interface, "Effective", "", "s", "toml\0", Role::reader};
/// The audit record's files, oldest first; `json` says what each is.
inline constexpr Method audit_files{supervisor_interface, "AuditFiles", "", "sah", "json\0files\0", Role::admin};
inline constexpr Method shutdown{supervisor_interface, "Shutdown", "", "", "", Role::admin};

// org.orlop.Container1. Start, Stop, Restart and Kill answer when the state is reached, or with the reason it was not.
inline constexpr Method start{container_interface, "Start", "", "", "", Role::admin};
inline constexpr Method stop{container_interface, "Stop", "", "", "", Role::admin};
inline constexpr Method restart{container_interface, "Restart", "", "", "", Role::admin};
inline constexpr Method kill{container_interface, "Kill", "s", "", "signal\0", Role::admin};
/// Answers at the next exit; at once if the container is not running.
inline constexpr Method wait{container_interface, "Wait", "", "is", "exit_code\0reason\0", Role::reader};
inline constexpr Method inspect{container_interface, "Inspect", "", "s", "json\0", Role::reader};
inline constexpr Method plan{container_interface, "Plan", "", "s", "text\0", Role::reader};
/// Spool and index files of every kept generation; `json` says what each is. No options yet: the map must be empty.
inline constexpr Method log_files{container_interface,      "LogFiles",  "a{sv}", "sah",
                                  "options\0json\0files\0", Role::reader};
}  // namespace method

inline constexpr std::array supervisor_methods = {method::apply,          method::import_image,  method::list_images,
                                                  method::inspect_image,  method::remove_image,  method::list_volumes,
                                                  method::inspect_volume, method::remove_volume, method::status,
                                                  method::effective,      method::audit_files,   method::shutdown};
inline constexpr std::array container_methods = {method::start, method::stop,    method::restart, method::kill,
                                                 method::wait,  method::inspect, method::plan,    method::log_files};

inline constexpr std::array supervisor_properties = {Property{"Version", "s", false}, Property{"Name", "s", true},
                                                     Property{"State", "s", true}, Property{"Labels", "a{ss}", true}};
inline constexpr std::array container_properties = {
    Property{"Name", "s", false},      Property{"State", "s", true},   Property{"Health", "s", true},
    Property{"Pid", "u", true},        Property{"Started", "t", true}, Property{"Restarts", "u", true},
    Property{"ExitCode", "i", true},   Property{"Reason", "s", true},  Property{"Image", "s", true},
    Property{"StartNumber", "t", true}};

/// Descriptors that one answer may carry.
inline constexpr std::size_t max_reply_fds = 64;

/// The bus error name of a kind: `org.orlop.Error.NotFound`.
std::string error_name(ErrorKind kind);
/// The error that a peer answered: its kind from the name, its message as the one link of the chain. Errors of the bus
/// itself get the kind that fits (UnknownObject: not_found, NoReply and Timeout: kernel/ETIMEDOUT, the rest: internal).
Error from_bus(std::string_view name, std::string_view message);
/// The object path of a container. @pre is_valid_name(name)
std::string container_path(std::string_view name);

}  // namespace orlop::control
