// One byte's step of CRC-16/IBM-3740: x^16 + x^12 + x^5 + 1, high bit first, started at 16'hffff.
//
// Reference    docs/uart-protocol.md; binascii.crc_hqx(data, 0xffff)
// Latency      0, combinational: the caller keeps the register
// Throughput   one byte per cycle
// Stall        none
//
// A frame followed by its own checksum, high byte first, leaves 0.
module crc16 (
  input  logic [15:0] crc_i,
  input  logic [7:0]  data_i,
  output logic [15:0] crc_o
);

  always_comb begin
    crc_o = crc_i ^ {data_i, 8'h00};
    for (int i = 0; i < 8; i++) crc_o = {crc_o[14:0], 1'b0} ^ (crc_o[15] ? 16'h1021 : 16'h0000);
  end

endmodule
