// How the plugin reads objects and writes times: as every program of ours that shows objects to people.
#pragma once

#include "operator/json/fields.h"

namespace mo::plugin {

using fields::age;
using fields::condition;
using fields::field;
using fields::give_generated_name;
using fields::items;
using fields::name_of;
using fields::number;
using fields::printable;
using fields::span;
using fields::text;
using fields::time_of;

}  // namespace mo::plugin
