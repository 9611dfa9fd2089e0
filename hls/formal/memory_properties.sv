// memory.sv: one word at any address, as configuration wrote it, on both of its outputs.
module memory_properties #(
  parameter int Words    = 3,
  parameter int Bits     = 2,
  parameter int CfgBits  = 4,
  parameter int CfgFirst = 0,
  parameter int Parity   = 0
) (
  input logic               clk_i,
  input logic               rst_ni,
  input logic               enable_i,
  input logic               advance_i,
  input logic [1:0]         address_i,
  input logic               cfg_valid_i,
  input logic               cfg_write_i,
  input logic [1:0]         cfg_memory_i,
  input logic [1:0]         cfg_address_i,
  input logic [CfgBits-1:0] cfg_data_i,
  input logic [CfgBits-1:0] cfg_chain_i
);

  localparam int StoredBits = Bits + Parity;
  localparam int Index      = 2;  // this memory's number

  logic [Bits-1:0]    data;
  logic [CfgBits-1:0] chain;
  logic               detected;

  memory #(
    .Words(Words), .Bits(Bits), .CfgIndex(Index), .CfgBits(CfgBits), .CfgFirst(CfgFirst),
    .CfgMemoryBits(2), .CfgAddressBits(2), .Parity(Parity)
  ) dut (
    .clk_i        (clk_i),
    .rst_ni       (rst_ni),
    .enable_i     (enable_i),
    .advance_i    (advance_i),
    .address_i    (address_i[((Words > 1) ? $clog2(Words) : 1)-1:0]),
    .data_o       (data),
    .cfg_valid_i  (cfg_valid_i),
    .cfg_write_i  (cfg_write_i),
    .cfg_memory_i (cfg_memory_i),
    .cfg_address_i(cfg_address_i),
    .cfg_data_i   (cfg_data_i),
    .cfg_chain_i  (cfg_chain_i),
    .cfg_chain_o  (chain),
    .detected_o   (detected)
  );

  start u_start (.clk_i(clk_i), .rst_ni(rst_ni));

  always_comb assume (address_i < 2'(Words) && cfg_address_i < 2'(Words));

  // the word at one address, from its first write on
  (* anyconst *) logic [1:0] address;
  logic                  mine, written_q;
  logic [StoredBits-1:0] word_q;
  always_comb assume (address < 2'(Words));
  assign mine = cfg_valid_i && cfg_memory_i == 2'(Index);
  always_ff @(posedge clk_i) begin
    if (mine && cfg_write_i && cfg_address_i == address) begin
      written_q <= 1'b1;
      word_q    <= cfg_data_i[StoredBits-1:0];
    end
    // not reset: memories keep their words
  end
  initial assume (!written_q);

  // what must follow its address by two stages, the second of which waits for advance_i
  logic                  read, known_q, shown_q;
  logic [StoredBits-1:0] read_q, show_q;
  logic [1:0]            cfg_q;  // a configuration read, this many cycles ago
  assign read = mine ? !cfg_write_i : enable_i;
  always_ff @(posedge clk_i) begin
    if (read) begin
      known_q <= written_q && (mine ? cfg_address_i : address_i) == address;
      read_q  <= word_q;
    end
    if (advance_i) begin
      shown_q <= known_q;
      show_q  <= read_q;
    end
    cfg_q <= rst_ni ? {cfg_q[0], mine && !cfg_write_i} : '0;
  end
  initial assume (!known_q && !shown_q);

  always_comb if (rst_ni) begin
    if (shown_q) assert (data == show_q[Bits-1:0]);
    if (CfgFirst != 0) begin
      if (shown_q) assert (chain[StoredBits-1:0] == show_q);
    end else begin
      if (cfg_q[1] && shown_q) assert (chain[StoredBits-1:0] == show_q);
      if (!cfg_q[1]) assert (chain == cfg_chain_i);
      if (CfgBits > StoredBits) begin
        assert (chain >> StoredBits == cfg_chain_i >> StoredBits);
      end
    end
    if (Parity == 0) assert (!detected);
  end

endmodule
