// AXI4-Lite slave in front of the configuration bus: identity, counters, stored words.
//
// Reference    docs/amd.md has the map of registers; hls/drivers/accelerator.py uses it
// Latency      3 cycles from a request to its response, 6 where a stored word is read
// Throughput   one request at a time, a write before a read that comes with it
// Stall        a response waits for its ready; hold_o is 1 while a memory is accessed
//
// A memory is accessed, and the size of packets set, only while no image is inside: hold_o first
// keeps the next one out. Otherwise, and for a write that is not understood, the bit `refused` of
// the status is set and nothing is done: an error response would end the program on the host.
module axi_registers #(
  parameter int          CfgBits        = 16,  // widest stored word, at least 1
  parameter int          Memories       = 1,   // memories on the configuration bus
  parameter int          CfgMemoryBits  = 8,   // of a memory's number, at most 16
  parameter int          CfgAddressBits = 16,  // of an address, at most 32
  parameter logic [63:0] Digest         = '0   // graph digest, its first byte in the low bits
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,  // synchronous, active low
  // AXI4-Lite, names as in its specification
  input  logic                      awvalid_i,
  output logic                      awready_o,
  input  logic [5:0]                awaddr_i,
  input  logic                      wvalid_i,
  output logic                      wready_o,
  input  logic [31:0]               wdata_i,
  input  logic [3:0]                wstrb_i,
  output logic                      bvalid_o,
  input  logic                      bready_i,
  input  logic                      arvalid_i,
  output logic                      arready_o,
  input  logic [5:0]                araddr_i,
  output logic                      rvalid_o,
  input  logic                      rready_i,
  output logic [31:0]               rdata_o,
  // the streams beside it
  input  logic                      begun_i,   // an image began
  input  logic                      done_i,    // a result left
  input  logic                      early_i,   // TLAST came inside an image
  output logic                      hold_o,    // no image may begin
  output logic [31:0]               packet_o,  // results per packet
  // configuration bus of the accelerator, and which memories have given a damaged word
  input  logic [Memories-1:0]       detected_i,
  output logic                      cfg_valid_o,
  output logic                      cfg_write_o,
  output logic [CfgMemoryBits-1:0]  cfg_memory_o,
  output logic [CfgAddressBits-1:0] cfg_address_o,
  output logic [CfgBits-1:0]        cfg_data_o,
  input  logic [CfgBits-1:0]        cfg_data_i
);

  localparam int Parts     = (CfgBits + 31) / 32;  // of the staging register
  localparam int StageBits = 32 * Parts;

  initial if (Memories > 1 << CfgMemoryBits || CfgMemoryBits > 16 || CfgAddressBits > 32) begin
    $fatal(1, "%m: Memories=%0d, CfgMemoryBits=%0d or CfgAddressBits=%0d too large", Memories,
           CfgMemoryBits, CfgAddressBits);
  end

  // registers, by word
  localparam logic [3:0] Ident   = 4'd0, DigestLow = 4'd1, DigestHigh = 4'd2, Status = 4'd3;
  localparam logic [3:0] Images  = 4'd4, Results = 4'd5, Cycles = 4'd6, Packet = 4'd7;
  localparam logic [3:0] Memory  = 4'd8, Address = 4'd9, Data = 4'd10, Command = 4'd11;
  localparam logic [3:0] Detected = 4'd12;
  localparam logic [31:0] Version = 32'h62700001;  // "bp", version 1

  localparam logic [2:0] Idle    = 3'd0;
  localparam logic [2:0] Act     = 3'd1;  // a write takes effect, or asks for no image inside
  localparam logic [2:0] Look    = 3'd2;  // a read takes its word
  localparam logic [2:0] Hold    = 3'd3;  // no image can begin now; is one inside?
  localparam logic [2:0] Execute = 3'd4;  // the one cycle of a memory access
  localparam logic [2:0] Fetch   = 3'd5;  // the word that is read comes two cycles later
  localparam logic [2:0] Take    = 3'd6;
  localparam logic [2:0] Respond = 3'd7;

  logic [2:0]          state_q;
  logic                awready_q, arready_q, bvalid_q, rvalid_q, access_q;
  logic [3:0]          register_q;
  logic [31:0]         written_q, rdata_q, shown;
  logic [StageBits-1:0] stage_q;  // the word to write, the word that was read
  logic [15:0]         memory_q;
  logic [31:0]         address_q, packet_q, images_q, results_q, cycles_q;
  logic                whole_q, refused_q, early_q;
  logic                busy, known, write, read;
  logic [Memories-1:0] damaged;
  logic                unused;

  assign busy  = images_q != results_q;
  assign write  = register_q == Command && written_q == 32'd1;
  assign read   = register_q == Command && written_q == 32'd2;
  assign known  = (write || read) && {16'd0, memory_q} < Memories;
  assign damaged = detected_i >> memory_q;  // the selected memory's bit lowest
  assign unused = ^{awaddr_i[1:0], araddr_i[1:0], address_q, memory_q, stage_q, damaged};

  assign awready_o = awready_q;
  assign wready_o  = awready_q;
  assign arready_o = arready_q;
  assign bvalid_o  = bvalid_q;
  assign rvalid_o  = rvalid_q;
  assign rdata_o   = rdata_q;
  assign packet_o  = packet_q;
  assign hold_o    = state_q == Hold || state_q == Execute || state_q == Fetch || state_q == Take;

  assign cfg_valid_o   = access_q;  // in state Execute
  assign cfg_write_o   = write;
  assign cfg_memory_o  = memory_q[CfgMemoryBits-1:0];
  assign cfg_address_o = address_q[CfgAddressBits-1:0];
  assign cfg_data_o    = stage_q[CfgBits-1:0];

  always_comb begin
    unique case (register_q)
      Ident:      shown = Version;
      DigestLow:  shown = Digest[31:0];
      DigestHigh: shown = Digest[63:32];
      Status:     shown = {28'd0, |detected_i, early_q, refused_q, busy};
      Images:     shown = images_q;
      Results:    shown = results_q;
      Cycles:     shown = cycles_q;
      Packet:     shown = packet_q;
      Memory:     shown = {16'd0, memory_q};
      Address:    shown = address_q;
      Data:       shown = stage_q[31:0];
      Detected:   shown = {31'd0, damaged[0]};
      default:    shown = 32'd0;
    endcase
  end

  // the staging register moves down by 32 bits: what enters on top is written, or leaves below
  logic [31:0]         entering;
  logic [StageBits-1:0] moved;
  assign entering = (state_q == Act) ? written_q : stage_q[31:0];
  if (Parts > 1) begin : gen_move
    assign moved = {entering, stage_q[StageBits-1:32]};
  end else begin : gen_replace
    assign moved = entering;
  end

  always_ff @(posedge clk_i) begin
    awready_q <= 1'b0;
    arready_q <= 1'b0;
    access_q  <= 1'b0;
    if (begun_i) images_q <= images_q + 1'b1;
    if (done_i) results_q <= results_q + 1'b1;
    if (busy) cycles_q <= cycles_q + 1'b1;

    unique case (state_q)
      Idle: if (awvalid_i && wvalid_i) begin
        awready_q  <= 1'b1;
        register_q <= awaddr_i[5:2];
        written_q  <= wdata_i;
        whole_q    <= &wstrb_i;
        state_q    <= Act;
      end else if (arvalid_i) begin
        arready_q  <= 1'b1;
        register_q <= araddr_i[5:2];
        state_q    <= Look;
      end

      Act: begin
        bvalid_q <= 1'b1;
        state_q  <= Respond;
        if (!whole_q) begin
          refused_q <= 1'b1;
        end else begin
          unique case (register_q)
            Status: begin
              if (written_q[1]) refused_q <= 1'b0;
              if (written_q[2]) early_q <= 1'b0;
            end
            Cycles:  cycles_q  <= '0;
            Memory:  memory_q  <= written_q[15:0];
            Address: address_q <= written_q;
            Data:    stage_q   <= moved;
            Packet, Command: begin
              bvalid_q <= 1'b0;
              state_q  <= Hold;
            end
            default: refused_q <= 1'b1;
          endcase
        end
      end

      Look: begin
        if (register_q == Data) stage_q <= moved;
        rdata_q  <= shown;
        rvalid_q <= 1'b1;
        state_q  <= Respond;
      end

      Hold: begin
        bvalid_q <= 1'b1;
        state_q  <= Respond;
        if (!busy && known) begin
          access_q <= 1'b1;
          bvalid_q <= 1'b0;
          state_q  <= Execute;
        end else if (!busy && register_q == Packet && written_q != '0) begin
          packet_q <= written_q;
        end else begin
          refused_q <= 1'b1;
        end
      end

      Execute: begin
        bvalid_q <= write;
        state_q  <= write ? Respond : Fetch;
      end

      Fetch: state_q <= Take;

      Take: begin
        stage_q  <= StageBits'(cfg_data_i);
        bvalid_q <= 1'b1;
        state_q  <= Respond;
      end

      default: if ((bvalid_q && bready_i) || (rvalid_q && rready_i)) begin
        bvalid_q <= 1'b0;
        rvalid_q <= 1'b0;
        state_q  <= Idle;
      end
    endcase

    if (early_i) early_q <= 1'b1;
    if (!rst_ni) begin
      state_q   <= Idle;
      awready_q <= 1'b0;
      arready_q <= 1'b0;
      bvalid_q  <= 1'b0;
      rvalid_q  <= 1'b0;
      access_q  <= 1'b0;
      refused_q <= 1'b0;
      early_q   <= 1'b0;
      images_q  <= '0;
      results_q <= '0;
      cycles_q  <= '0;
      packet_q  <= 32'd1;
    end
  end

endmodule
