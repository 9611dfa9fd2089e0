#pragma once
// Host stand-in for the vendor's ap_axi_sdata.h: the members of a bus word that kernels use.

#include "ap_int.h"

template <int DataBits, int UserBits, int IdBits, int DestinationBits>
struct ap_axiu {
  static_assert(UserBits == 0 && IdBits == 0 && DestinationBits == 0, "only data and last");
  ap_uint<DataBits> data;
  ap_uint<(DataBits + 7) / 8> keep;
  ap_uint<(DataBits + 7) / 8> strb;
  ap_uint<1> last;
};
